"""The official `anthropic` client against a platform: runs the scenario that it is told and prints one JSON object.

    anthropic_client.py BASE_URL API_KEY SCENARIO

Each scenario says what the client saw; the test that runs it decides what is right. The model says what stands between
« and » in its prompt.
"""

import json
import sys

import anthropic

BASE_URL, API_KEY, SCENARIO = sys.argv[1:4]
MODEL = "dictated"
CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Köln", "days": 3}}</tool_call>'
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
client = anthropic.Anthropic(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=60)


def saying(answer, **others):
    return {
        "model": MODEL,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": f"Please say «{answer}»"}],
        **others,
    }


def blocks(message):
    return [block.model_dump(exclude_none=True) for block in message.content]


def same_message():
    question = saying("<think>Hm, é.</think>Grüße 😀, world.")
    whole = client.messages.create(**question)
    with client.messages.stream(**question) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    return {
        "whole": blocks(whole),
        "streamed": blocks(streamed),
        "text": text,
        "stop_reasons": [whole.stop_reason, streamed.stop_reason],
        "output_tokens": [whole.usage.output_tokens, streamed.usage.output_tokens],
    }


def tools():
    question = saying(f"Let me look. {CALL}", tools=[WEATHER])
    whole = client.messages.create(**question)
    with client.messages.stream(**question) as stream:
        streamed = stream.get_final_message()
    result = {"type": "tool_result", "tool_use_id": streamed.content[-1].id, "content": "«It is 20 degrees.»"}
    question["messages"] += [
        {"role": "assistant", "content": streamed.content},
        {"role": "user", "content": [result]},
    ]
    return {
        "calls": [blocks(message)[-1] for message in (whole, streamed)],
        "stop_reasons": [whole.stop_reason, streamed.stop_reason],
        "last": blocks(client.messages.create(**question)),
    }


def tool_runner():
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str, days: int) -> str:
        """The weather of a city."""
        asked.append([city, days])
        return "«Sunny, then.»"

    runner = client.beta.messages.tool_runner(**saying(CALL), tools=[get_weather])
    return {"last": blocks(runner.until_done()), "asked": asked}


def usage():
    question = saying("fine" + " and so on" * 60)
    first = client.messages.create(**question)
    second = client.messages.create(**question)
    count = client.messages.count_tokens(model=MODEL, messages=question["messages"])
    return {
        "counted": count.input_tokens,
        "first": first.usage.model_dump(exclude_none=True),
        "second": second.usage.model_dump(exclude_none=True),
    }


def abort():
    """Leaves a long stream after three pieces of text."""
    pieces = 0
    with client.messages.stream(**saying("and so on " * 400, max_tokens=2000)) as stream:
        for _ in stream.text_stream:
            pieces += 1
            if pieces == 3:
                break
    return {"pieces": pieces}


def errors():
    """Class, status, type and message of what each wrong call raises."""
    stranger = anthropic.Anthropic(base_url=BASE_URL, api_key="sk-wrong", max_retries=0)
    calls = {
        "unknown model": lambda: client.messages.create(**saying("x", model="dictatde")),
        "no messages": lambda: client.messages.create(**saying("x", messages=[])),
        "wrong key": lambda: stranger.messages.create(**saying("x")),
        "streamed": lambda: client.messages.create(**saying("x", max_tokens=0), stream=True),
    }
    seen = {}
    for name, call in calls.items():
        try:
            call()
            seen[name] = None
        except anthropic.APIStatusError as error:
            seen[name] = {
                "class": type(error).__name__,
                "status": error.status_code,
                "type": error.body["error"]["type"],
                "message": error.body["error"]["message"],
                "request_id": error.request_id,
            }
    return seen


def models():
    return {"listed": [model.id for model in client.models.list()], "retrieved": client.models.retrieve(MODEL).type}


SCENARIOS = {run.__name__: run for run in (same_message, tools, tool_runner, usage, abort, errors, models)}
print(json.dumps(SCENARIOS[SCENARIO]()))
