/** The last event of OpenAI's streams. */
export const OPENAI_DONE = 'data: [DONE]';
