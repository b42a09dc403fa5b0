/**
 * Every bound in the house: queues, buffers, retries, waits, sizes. One table, so that a reader sees at once what
 * can grow and how far. Those that people may change are read from here as defaults by `config.ts`.
 */
export const LIMITS = {
  /** Request body, checked against content-length and while reading, before parsing. */
  bodyBytes: 32 * 1024 * 1024,
  /** Messages in one chat request. */
  messages: 4096,
  /** Stop strings and their length in characters. */
  stopStrings: 16,
  stopStringLength: 256,
  /** Texts of one embeddings request, tokens of one of them; and how the texts are divided among calls of workers. */
  embeddingInputs: 2_048,
  embeddingTokens: 8_192,
  embeddingCallInputs: 128,
  embeddingCallTokens: 8_192,
  embeddingCalls: 4,
  /** max_tokens when the client gives none: what is left of the context, at most this. */
  defaultMaxTokens: 4096,
  logitBiasEntries: 1024,
  /** Answers to one prompt (`n`), and likely tokens named beside each chosen one. */
  choices: 16,
  topLogprobs: 20,
  /** Tools and documents of one request, calls in one message, and the size of a JSON schema. */
  tools: 128,
  documents: 256,
  schemaDepth: 64,
  valueDepth: 200,
  schemaNodes: 10_000,
  /** What an answer must obey: bytes of the grammar or schema, choices, compiled grammars kept, memory of the wasm instance. */
  grammarBytes: 64 * 1024,
  grammarChoices: 1_024,
  compiledGrammars: 32,
  grammarMemoryBytes: 256 * 1024 * 1024,
  /** Work of llguidance: Earley items in a row and in a step, fuel of the lexer at the start and in a step, lexer states, size. */
  grammarRowItems: 2_000,
  grammarStepItems: 20_000,
  grammarLexerFuel: 500_000,
  grammarStepLexerFuel: 100_000,
  grammarLexerStates: 50_000,
  grammarSize: 100_000,
  /** The thread that tries grammars first: how long it may take to start and at one, processor time of one, waiting ones, outcomes. */
  grammarThreadMs: 20_000,
  grammarCheckMs: 750,
  grammarCompileMs: 250,
  grammarChecks: 64,
  knownGrammars: 64,
  modelNameLength: 256,
  /** Brackets within brackets in the arguments of a call that is translated from Python. */
  toolArgumentDepth: 256,
  nearModelNames: 3,

  /** Re-dispatches of one request after the loss of a worker (card or configuration may lower it). */
  migrations: 3,
  /** Before a worker that broke a connection is asked again because there is no other. */
  sameWorkerPauseMs: 200,
  /** So many such pauses for a router to hear that a worker drains, which has said so to us. */
  drainingPauses: 5,
  /** A stream's headers go out after this long, whatever is still missing. */
  headerWaitMs: 1_000,
  /** SSE comment while the first token is awaited; white space while a plain answer is computed. */
  keepAliveMs: 500,
  /** Between the sidecar accepting the connection and its response head. */
  responseHeadTimeoutMs: 120_000,
  /** How often the kept copy of a running stream is read, in what portions, and how much of it may wait as bytes. */
  keptDrainMs: 1_000,
  keptReadBytes: 65_536,
  keptRawBytes: 65_536,
  /** A worker's error body, read whole. */
  errorBodyBytes: 64 * 1024,
  /** A document that a worker writes at once with its head, and that passes through the function untouched. */
  wholeDocumentBytes: 16 * 1024,

  /** Files: bytes of one, of all, their number, pieces they are kept in; how long a sender may be silent; how many a sweep removes. */
  fileBytes: 100 * 1024 * 1024,
  storedFileBytes: 4 * 1024 * 1024 * 1024,
  files: 10_000,
  fileChunkBytes: 256 * 1024,
  fileSilenceMs: 60_000,
  sweptFiles: 16,
  fileNameLength: 512,
  filesPerPage: 10_000,
  /** Batches: that are kept, that have work left, on a page; lines of one, bytes of a line, of its name and of its answer. */
  batches: 10_000,
  openBatches: 256,
  batchesPerPage: 100,
  batchLines: 50_000,
  batchLineBytes: 4 * 1024 * 1024,
  batchCustomIdLength: 512,
  batchAnswerBytes: 1_500_000,
  /** Faults of an input file that are told of, lines that one turn takes, requests under way at once. */
  batchErrors: 100,
  batchTurnLines: 1_000,
  batchRequests: 16,
  /** How long a batch may take, and how often it is looked after whatever happens. */
  batchWindowMs: 24 * 3_600_000,
  batchAlarmMs: 15_000,
  /** A request that found no room is sent again after a pause, which grows up to the second; one that failed by our fault so often. */
  batchPauseMs: 250,
  batchLongPauseMs: 15_000,
  batchAttempts: 4,
  /** How long a model may take to start or come back; of how many a batch remembers it. */
  batchModelMs: 60_000,
  batchModels: 1_000,
  /** Stored responses: objects they are spread over, how many and how many characters one object keeps, characters of one
      (input and document each), pieces they are stored in, how long they live and when that is counted anew, how many a sweep deletes and how often. */
  conversationObjects: 16,
  storedResponses: 16_384,
  storedLength: 256 * 1024 * 1024,
  storedResponseLength: 16 * 1024 * 1024,
  storedPieceLength: 256 * 1024,
  responseTtlMs: 30 * 24 * 3_600_000,
  responseRenewMs: 3_600_000,
  sweptResponses: 256,
  responseSweepMs: 1_000,
  /** What is read of a conversation that is continued: turns and characters. */
  conversationTurns: 1_024,
  conversationLength: 16 * 1024 * 1024,
  /** Without a sign of work for this long, a stored response without an end has failed; how long one `watch` is, and how long a response
      with a client computes before it is watched. */
  responseLeaseMs: 30_000,
  responseWatchMs: 10_000,
  responseWatchAfterMs: 1_000,
  /** Times that a conversation is shortened to fit. */
  truncations: 32,
  /** Responses that one process computes in the background. */
  backgroundResponses: 256,
  /** How long a worker tries to have a response stored before its client gets the end of it all the same. */
  storeResponseTimeoutMs: 5_000,
  /** The end of a response that nobody knows is told once more after this long. */
  storeAgainMs: 200,
  /** Keys and characters of a response's metadata. */
  metadataKeys: 16,
  metadataKeyLength: 64,
  metadataValueLength: 512,

  /** Copy of the directory in an isolate. */
  directoryTtlMs: 1_000,
  /** tokenizer.json and templates kept in an isolate. */
  artifactBytes: 64 * 1024 * 1024,
  artifacts: 16,

  /** Fleet socket. */
  leaseMs: 10_000,
  heartbeatMs: 2_000,
  registerTimeoutMs: 5_000,
  fleetFrameBytes: 4 * 1024 * 1024,
  fleetBatchMs: 4,
  /** Requests told of in one batch. */
  progressPerBatch: 4_096,
  /** Heartbeats without an answer after which a fleet socket counts as half-open, and how long an orderly close may take. */
  silentHeartbeats: 3,
  fleetLeaveMs: 1_000,
  /** After its last batch a worker looks once more whether its load is another. */
  loadSettleMs: 100,
  reconnectMinMs: 50,
  reconnectMaxMs: 2_000,
  eventRing: 1_024,
  dumpBlocksPerFrame: 4_096,

  /** Router object. */
  workers: 4_096,
  inFlight: 65_536,
  /** A reservation that its worker never confirms runs out. */
  reservationMs: 10_000,
  /** A request whose worker goes silent about it. */
  staleRequestMs: 300_000,
  /** Requests in a Router object's queue; how long one `wait` for a ticket is, and when a ticket that nobody waits for is dropped. */
  queuedRequests: 8_192,
  /** Requests of a lane that may be looked at for one that can go, and how long an answer of no holds. */
  queueLookahead: 8,
  queueRejudgeMs: 10,
  ticketWaitMs: 1_000,
  ticketIdleMs: 2_000,
  /** Tickets that one attempt may lose (the object restarted, the loop stood still) before it gives up. */
  lostTickets: 3,
  /** A request for a sleeping model: the longest wait, how often the planner is asked meanwhile, and how long a failed start
      keeps others from trying, at first and at most. */
  wakeTimeoutMs: 110_000,
  wakeLookMs: 250,
  wakeRestMs: 1_000,
  wakeLongRestMs: 30_000,
  /** Files of models that may sleep, which outlive their workers: their number, bytes in all, and pieces they are kept in. */
  keptFiles: 64,
  keptFileBytes: 256 * 1024 * 1024,
  keptFilePieceBytes: 1024 * 1024,
  /** Queue policy: classes, buckets, length of their names. */
  policyClasses: 256,
  policyBuckets: 64,
  policyNameLength: 64,
  indexBytes: 512 * 1024 * 1024,
  /** Steps of freeing what was cleared in one sweep of the router, each some 50 µs. */
  indexSweepSteps: 64,
  bufferedEvents: 1_024,

  /** Bytes that buffered KV events of one rank may hold, and how long a worker may take to answer a resend or dump request. */
  bufferedEventBytes: 8 * 1024 * 1024,
  recoveryTimeoutMs: 5_000,
  recoveryAttempts: 8,
  /** Pieces that a snapshot of the index is written and read in, and the pause between two writes. */
  snapshotChunkBytes: 256 * 1024,
  snapshotPauseMs: 20,
  snapshotEvents: 1_000_000,
  /** Data parallel ranks of one worker, and of all workers of a model (slots of its index). */
  dpRanks: 64,
  slotsPerModel: 16_384,
  /** Epochs remembered of instances that left. */
  departedInstances: 8_192,
  /** Models in a namespace, and names (with aliases) of one card. */
  modelsPerNamespace: 1_024,
  modelAliases: 64,
  /** Taints, and LoRA adapters, that one worker may name. */
  workerWords: 256,
  /** Sessions of a namespace that are remembered for affinity; the longest silent one goes. */
  affinitySessions: 65_536,
  /** Candidates that the header of an explained answer lists. */
  explainedInHeader: 16,
  /** Entries that approximate mode prunes in one turn. */
  prunedPerTurn: 4_096,
  /** Namespaces in the directory. */
  namespaces: 1_024,
  /** How often a Router object looks for ended leases and expired reservations, and for stale requests. */
  sweepMs: 1_000,
  staleSweepMs: 30_000,
  /** A Router object repeats what it published this often; the Directory forgets a namespace that was silent this long. */
  republishMs: 5_000,
  namespaceLeaseMs: 20_000,
  /** Children of one metric family before new ones are counted together. */
  metricChildren: 4_096,

  /** Prefill queue of a namespace: live jobs and their bytes, bytes of one, how long one may wait; calls that wait, and how long. */
  prefillQueueJobs: 8_192,
  prefillQueueBytes: 64 * 1024 * 1024,
  prefillJobBytes: 1_500_000,
  prefillJobMs: 60_000,
  prefillPollers: 4_096,
  prefillWaitMs: 1_000,
  /** A lease; times that a job is given to somebody, and its rest after a failure; jobs and bytes that one answer gives; names in one call. */
  prefillLeaseMs: 5_000,
  prefillDeliveries: 3,
  prefillRestMs: 100,
  prefillAnswerBytes: 4 * 1024 * 1024,
  prefillLeasedJobs: 64,
  prefillCallItems: 1_024,
  prefillReasonLength: 512,
  /** Of a prefill worker: jobs at once, and how long a call of the queue may take beside its wait. */
  prefillJobsAtOnce: 4,
  prefillCallMs: 5_000,
  /** How long an end is remembered, and how many; dead letters, their bytes and their time. */
  prefillEndedMs: 60_000,
  prefillEndedJobs: 16_384,
  prefillDeadLetters: 256,
  prefillDeadBytes: 32 * 1024 * 1024,
  prefillDeadMs: 24 * 3_600_000,
  /** What is still so after this long is written, about so many bytes a turn. */
  prefillWriteMs: 100,
  prefillWriteBytes: 256 * 1024,

  /** Remote prefill: peers that channels are kept to, how often a silent one is pinged; and without progress for so long it is given up. */
  prefillPeers: 64,
  prefillKeepaliveMs: 5_000,
  remotePrefillStallMs: 5_000,

  /** NATS: a connection to be made, a question to be answered, before it is tried again, pings, attempts of one log line. */
  natsConnectMs: 5_000,
  natsRequestMs: 10_000,
  natsReconnectMs: 500,
  natsPingMs: 10_000,
  natsAttemptsPerLine: 60,
  /** Event plane: messages and bytes sent at once, how long they may take; how often the newest event is told over the fleet socket, too, when
      it is quiet; publishers that a router keeps numbers of. */
  eventPlaneBatch: 256,
  eventPlaneBatchBytes: 1024 * 1024,
  eventPlaneSendMs: 5_000,
  eventPlaneQuietMs: 500,
  eventPublishers: 4_096,
  /** Request plane by NATS: bytes of one message, bytes of one answer that its reader has not taken, how many taken ones it says at once; how
      often either end says that it lives, when the other gives up, and when it does so for a worker that has lost its fleet socket. */
  planeMessageBytes: 256 * 1024,
  planeWindowBytes: 1024 * 1024,
  planeAckBytes: 64 * 1024,
  planeAliveMs: 1_000,
  planeSilenceMs: 3_500,
  planeOrphanMs: 5_000,
  planeSuspectMs: 500,
  planeSweepMs: 250,
  /** The stream of a namespace's KV events: its bounds, and how long a router that restarts waits for workers before it reads it. */
  kvStreamMessages: 2_000_000,
  kvStreamBytes: 1024 * 1024 * 1024,
  kvStreamMs: 24 * 3_600_000,
  kvStreamWaitMs: 2_500,
  /** ZMQ: messages queued for one subscriber; KV events that are sent again to who missed them, how long an engine may take
      for that, and their bytes. */
  zmqQueuedMessages: 100_000,
  zmqReplayMessages: 1_024,
  zmqReplayMs: 5_000,
  zmqReplayBytes: 16 * 1024 * 1024,

  /** Sidecar. */
  concurrentRequests: 1_024,
  waitingRequests: 4_096,
  /** Metadata and tensor list of a model file, vocabulary included. */
  ggufHeaderBytes: 256 * 1024 * 1024,
  /** Largest 16-bit model that is computed in F32, so that its tokens never depend on the batch. */
  ggufExpandBytes: 64 * 1024 * 1024,
  drainMs: 30_000,
  responseBufferBytes: 4 * 1024 * 1024,
  /** Connections to a sidecar's HTTP/1.1 face, and how long one may idle, take for its head and for its whole request. */
  sidecarConnections: 8_192,
  idleConnectionMs: 600_000,
  /** How long a connection to the platform is kept for the next call, where that is by https. */
  platformIdleMs: 4_000,
  requestHeadMs: 10_000,
  requestBodyMs: 60_000,

  /** KV memory: blocks of one transfer, transfers of one path at once and waiting blocks; how long one may take. */
  kvbmBatchBlocks: 16,
  kvbmTransfers: 4,
  kvbmQueuedBlocks: 16_384,
  kvbmTransferMs: 10_000,
  /** Faults in a row after which a tier rests, how long at first and at most. */
  kvbmTierFaults: 3,
  kvbmTierRestMs: 1_000,
  kvbmTierLongRestMs: 60_000,
  /** Blocks that the disk filter remembers, and how often it forgets a little. */
  kvbmFilterBlocks: 262_144,
  kvbmFilterMs: 600_000,
  /** Host memory of workers that hand blocks to each other, when no size is set. */
  kvbmExchangeBytes: 1024 * 1024 * 1024,
  /** Blocks of host memory that there are for transfers when none are set. */
  kvbmStagingBlocks: 64,
  /** Object stores: attempts after the first, pause before them, what is kept of an error; when an unfinished file is old. */
  kvbmObjectRetries: 2,
  kvbmObjectPauseMs: 50,
  kvbmErrorBodyLength: 512,
  kvbmUnfinishedMs: 3_600_000,
  /** Objects beyond its capacity that a start deletes; blocks that are looked for at once among those of other workers. */
  kvbmTrimmedObjects: 10_000,
  kvbmLookupBlocks: 16,

  /** GPUs: how often in turn after turn the driver is asked whether work has ended, and the pause between questions after that. */
  gpuQuickPolls: 256,
  gpuPollMs: 1,
  /** How long figures of GPUs are told again before NVML is asked anew. */
  gpuFiguresMs: 1_000,
  /** Windows of device memory that a worker has for pulls by cuda-ipc, those included whose source fell silent. */
  gpuWindows: 16,

  /** Transfers between workers: blocks of one pull, blocks (and their bytes) that a reader has asked for and not got, those that a source prepares
      ahead of the one it pushes, bytes pushed at once, readers at once, peers that connections are kept to. */
  transferBlocks: 65_536,
  transferAskedBlocks: 512,
  transferAskedBytes: 64 * 1024 * 1024,
  transferAheadBlocks: 64,
  transferPushBytes: 16 * 1024 * 1024,
  transferGrants: 256,
  transferPeers: 64,
  /** A grant whose reader is silent; a silent source; how often a waiting source says that it lives; a call or connection to be made. */
  transferLeaseMs: 10_000,
  transferSilenceMs: 5_000,
  transferBeatMs: 1_000,
  transferConnectMs: 3_000,
  /** How long a reader waits to be told that nothing is written any more, and how often it looks whether a silent source has died;
      over a network, when a slot that a lost source might have written is given back all the same. */
  transferStopMs: 1_000,
  transferDeadCheckMs: 250,
  transferQuarantineMs: 60_000,
  /** What a backend says of itself or of a window. */
  transferMetadataBytes: 256 * 1024,
  /** Read from a connection at once: longer reads hold up what comes meanwhile. */
  transferReadBytes: 512 * 1024,
  /** Mapped windows of other processes; blocks up to this size are copied and summed where the loop runs. */
  transferMappings: 64,
  transferSyncBytes: 1024 * 1024,
  /** Microseconds between two looks whether NIXL has written. */
  nixlPauseUs: 150,

  /** Global router: pools of a kind, cells of a grid; how long a pool elsewhere may take for its head or be silent, how often that is
      looked after, and what is kept of what it said of a failure. */
  pools: 256,
  poolGridCells: 65_536,
  openaiPoolTimeoutMs: 30_000,
  openaiPoolLookMs: 1_000,
  openaiPoolMessageLength: 512,
  /** Copy of the global router's configuration in an isolate, and the pause of one that could not be read. */
  poolsTtlMs: 1_000,
  /** Discovery: characters of a key and a value, entries and watchers of the platform's table; how often a shared directory is looked at,
      and when a file of a dead process is removed; how long a call of a backend may take, and a silent watch is trusted. */
  discoveryKeyLength: 512,
  discoveryValueLength: 256 * 1024,
  discoveryEntries: 65_536,
  discoveryWatchers: 1_024,
  workerEndpoints: 64,
  endpointCopies: 1_024,
  /** Calls of components: instances that one may be sent to, how long it may take to answer, and a worker to keep that deadline. */
  componentAttempts: 4,
  componentCallMs: 300_000,
  componentGraceMs: 1_000,
  /** Clients of other endpoints that a component keeps. Canaries: after how long without an answer, how long one may take, the pause after
      one that failed, how many of these in a row make an endpoint sick, how often is looked. */
  componentClients: 256,
  canaryIdleMs: 10_000,
  canaryTimeoutMs: 3_000,
  canaryRetryMs: 1_000,
  canaryFailures: 2,
  canaryLookMs: 500,
  discoveryPollMs: 500,
  discoveryForgetMs: 60_000,
  discoveryCallMs: 3_000,
  discoveryWatchMs: 30_000,
  discoveryWatchLength: 64 * 1024 * 1024,

  /** Replay: requests in one trace, and tokens of one prompt or answer. */
  traceRequests: 2_000_000,
  traceTokens: 16 * 1024 * 1024,

  /** Workers that the launcher runs on one machine for a planner, and how long one may take to serve. */
  machineWorkers: 64,
  workerStartMs: 120_000,

  /** Planner: buckets of a histogram, passes told of by one engine at a time, intervals that it remembers and that ARIMA looks back on. */
  plannerHistogramBounds: 256,
  plannerPasses: 65_536,
  plannerHistoryPoints: 2_048,
  /** Passes of an engine that a load report has, and that the router keeps between two readings: so many with prompt tokens, as many without. */
  passesPerReport: 16,
  plannerKeptPasses: 64,
  plannerArimaPoints: 128,
  /** After so many intervals without a reading the next one only begins anew. */
  plannerGapIntervals: 10,
  /** A call of the planner to a connector, a source or the router; times that an order is given to a connector that does not take it. */
  plannerCallMs: 10_000,
  plannerOrderTries: 5,
  /** Decisions that are kept, and their bytes; every so many have the state before; profiles that are kept; bytes of a reading. */
  plannerDecisions: 2_000,
  plannerDecisionBytes: 32 * 1024 * 1024,
  plannerStartEvery: 64,
  plannerProfiles: 8,
  plannerReadingBytes: 512 * 1024,
  plannerPage: 200,
  /** Orders for others: a poll for one, polls at once, how long who asked last is the one who executes, and why one failed. */
  plannerWaitMs: 20_000,
  plannerPollers: 64,
  plannerExecutorMs: 15_000,
  plannerWhyLength: 512,
  /** A grant of the global planner lasts so long without a word from its planner, at least, and so many of its intervals. */
  grantLeaseMs: 60_000,
  grantLeaseLooks: 3,
  /** Points along an axis of a profile. */
  profilePoints: 1_024,
  profileMeasurements: 4_096,
  /** A profile's file, and of an .npz of it: entries, and bytes of all of them unpacked. */
  profileFileBytes: 16 * 1024 * 1024,
  npzEntries: 64,
  npzBytes: 64 * 1024 * 1024,
  /** Characters of a profile that the launcher hands to the planner. */
  plannerProfileLength: 2 * 1024 * 1024,

  /** Kubernetes: how long a call may take, attempts of one, the pause that grows between them and the longest that the server may ask for,
      bytes of an answer, how much of a refusal is kept. */
  kubernetesCallMs: 5_000,
  kubernetesAttempts: 3,
  kubernetesPauseMs: 100,
  kubernetesRetryAfterS: 2,
  kubernetesAnswerBytes: 64 * 1024 * 1024,
  kubernetesMessageLength: 512,
  /** Pages of a list and what is on one; times that a change is made anew because somebody else was faster. */
  kubernetesPages: 64,
  kubernetesPageItems: 500,
  kubernetesConflicts: 5,
  /** Watches: how long one is, at least, and after how long beyond that its line counts as broken; the pause before a list is read again
      after a fault; how often a Pod looks whether what it has put is still there. */
  kubernetesWatchS: 240,
  kubernetesWatchGraceS: 15,
  kubernetesRelistMs: 500,
  kubernetesCheckMs: 30_000,
} as const;
