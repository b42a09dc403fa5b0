/** A client of the open inference protocol, on the code made from its messages. */

import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { type Client, Metadata } from '@grpc/grpc-js';
import * as proto from '../../gpu-sidecar/proto/gen/inference/grpc_service_pb.js';
import { decoder, encoder } from '../../gpu-sidecar/server/grpc-codec.ts';

/** One unary call. */
export function ask<In extends DescMessage, Out extends DescMessage>(
  client: Client,
  { input, name, output }: { name: string; input: In; output: Out },
  request: MessageInitShape<In>,
  metadata = new Metadata(),
): Promise<MessageShape<Out>> {
  return new Promise((resolve, reject) => {
    const path = `/inference.GRPCInferenceService/${name}`;
    const done = (error: unknown, answer?: MessageShape<Out>) => (error ? reject(error) : resolve(answer!));
    client.makeUnaryRequest(
      path,
      encoder(input),
      decoder(output),
      create(input, request),
      metadata,
      {},
      done,
    );
  });
}

/** A ModelStreamInfer call. */
export const streamOf = (client: Client, metadata = new Metadata()) =>
  client.makeBidiStreamRequest(
    '/inference.GRPCInferenceService/ModelStreamInfer',
    encoder(proto.ModelInferRequestSchema),
    decoder(proto.ModelStreamInferResponseSchema),
    metadata,
  );

type Init = MessageInitShape<typeof proto.ModelInferRequestSchema>;
const bytes = (words: string) => new TextEncoder().encode(words);
const textInput = (prompt: string) => ({
  name: 'text_input',
  datatype: 'BYTES',
  shape: [1n],
  contents: { bytesContents: [bytes(prompt)] },
});
const streaming = { name: 'streaming', datatype: 'BOOL', shape: [1n], contents: { boolContents: [true] } };

/** Asks `m` for a whole answer; the id is the prompt. */
export const whole = (prompt: string, more: Init = {}) =>
  create(proto.ModelInferRequestSchema, {
    modelName: 'm',
    id: prompt,
    inputs: [textInput(prompt)],
    ...more,
  });

/** The same, streamed. */
export const request = (prompt: string, more: Init = {}) =>
  whole(prompt, { inputs: [textInput(prompt), streaming], ...more });

/** The elements of an output. */
export const texts = (response: proto.ModelInferResponse | undefined, name = 'text_output') =>
  response?.outputs
    .find((output) => output.name === name)
    ?.contents?.bytesContents.map((element) => new TextDecoder().decode(element));
