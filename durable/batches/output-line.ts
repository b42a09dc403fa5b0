/** A line of an output or error file, as OpenAI has it. Pure. */

/** What came of a request. */
export interface LineAnswer {
  /** HTTP status. */
  status: number;
  requestId: string;
  /** JSON. */
  body: string;
}

export interface OutputLine {
  /** `batch_req_…` */
  id: string;
  customId: string;
}

/** With the line feed. The body goes in as it is: it is JSON, and its line breaks, which JSON allows between values, go. */
export function answerLine({ id, customId }: OutputLine, { status, requestId, body }: LineAnswer): string {
  const head = `"id":${JSON.stringify(id)},"custom_id":${JSON.stringify(customId)}`;
  const response = `"status_code":${status},"request_id":${JSON.stringify(requestId)},"body":${oneLine(body)}`;
  return `{${head},"response":{${response}},"error":null}\n`;
}

/** Of a request that has no answer. */
export function errorLine({ id, customId }: OutputLine, error: { code: string; message: string }): string {
  return `${JSON.stringify({ id, custom_id: customId, response: null, error })}\n`;
}

const oneLine = (json: string): string =>
  /[\r\n]/.test(json) ? JSON.stringify(JSON.parse(json)) : json.trim();
