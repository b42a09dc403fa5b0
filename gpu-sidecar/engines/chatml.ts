/** ChatML, the chat template of models that bring none (https://github.com/openai/openai-python/blob/v0.27.8/chatml.md). */

export const CHATML_TEMPLATE =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n{% endfor %}" +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
