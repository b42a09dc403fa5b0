"""The official `openai` client against a platform: runs the scenario that it is told and prints one JSON object.

    openai_client.py BASE_URL API_KEY SCENARIO

Each scenario says what the client saw; the test that runs it decides what is right.
"""

import json
import sys

import openai

BASE_URL, API_KEY, SCENARIO = sys.argv[1:4]
MODEL = "stator-tiny"
client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=60)
question = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is a KV router?"}],
    "temperature": 0,
    "max_tokens": 60,
}


def same_text():
    whole = client.chat.completions.create(**question)
    stream = client.chat.completions.create(**question, stream=True)
    deltas = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    return {
        "whole": whole.choices[0].message.content,
        "streamed": "".join(deltas),
        "deltas": len(deltas),
        "finish_reason": whole.choices[0].finish_reason,
    }


def usage():
    whole = client.chat.completions.create(**question)
    stream = client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True})
    streamed = [chunk.usage.model_dump() for chunk in stream if chunk.usage]
    return {"whole": whole.usage.model_dump(), "streamed": streamed}


CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Köln", "days": 3}}</tool_call>'
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}


def responses():
    """Against the same model: told, retrieved, continued, refused."""
    function = {"type": "function", "strict": False, **WEATHER["function"]}
    question = {"model": "dictated", "input": f"Please say «<think>Hm.</think>Let me look. {CALL}»", "tools": [function]}
    whole = client.responses.create(**question)
    with client.responses.stream(**question) as stream:
        events = [event.type for event in stream]
        streamed = stream.get_final_response()
    call = next(item for item in whole.output if item.type == "function_call")
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "«It is 20 degrees.»"}
    last = client.responses.create(model="dictated", previous_response_id=whole.id, input=[output], tools=[function])
    listed = [item.type for item in client.responses.input_items.list(last.id)]
    client.responses.delete(whole.id)
    try:
        client.responses.retrieve(whole.id)
        deleted = None
    except openai.NotFoundError as error:
        deleted = error.status_code
    return {
        "kinds": [[item.type for item in response.output] for response in (whole, streamed)],
        "texts": [response.output_text for response in (whole, streamed)],
        "arguments": json.loads(call.arguments),
        "retrieved": client.responses.retrieve(streamed.id).output_text,
        "first_and_last": [events[0], events[-1]],
        "last": last.output_text,
        "listed": listed,
        "deleted": deleted,
    }


def tools():
    """Against a model that says what stands between « and » in its prompt."""
    messages = [{"role": "user", "content": f"Please say «Let me look. {CALL}»"}]
    question = {"model": "dictated", "tools": [WEATHER], "messages": messages}
    whole = client.chat.completions.create(**question).choices[0]
    with client.chat.completions.stream(**question) as stream:
        streamed = stream.get_final_completion().choices[0]
    said = [whole.message, streamed.message]
    call = streamed.message.tool_calls[0]
    messages += [
        {"role": "assistant", "tool_calls": [call.model_dump(exclude_none=True)]},
        {"role": "tool", "tool_call_id": call.id, "content": "«It is 20 degrees.»"},
    ]
    return {
        "calls": [
            [
                {"id": call.id, "name": call.function.name, "arguments": json.loads(call.function.arguments)}
                for call in message.tool_calls
            ]
            for message in said
        ],
        "finish_reasons": [whole.finish_reason, streamed.finish_reason],
        "last": client.chat.completions.create(**question).choices[0].message.content,
    }


def abort():
    """Leaves a long stream after three pieces by closing it, as `with` does."""
    pieces = 0
    long = {**question, "max_tokens": 900, "extra_body": {"ignore_eos": True}}
    with client.chat.completions.create(**long, stream=True) as stream:
        for chunk in stream:
            pieces += len(chunk.choices)
            if pieces == 3:
                break
    return {"pieces": pieces}


def errors():
    """Class, status, code and param of what each wrong call raises."""
    stranger = openai.OpenAI(base_url=BASE_URL, api_key="sk-wrong", max_retries=0)
    calls = {
        "unknown model": lambda: client.chat.completions.create(**{**question, "model": "stator-tyni"}),
        "no messages": lambda: client.chat.completions.create(**{**question, "messages": []}),
        "wrong key": lambda: stranger.models.list(),
    }
    seen = {}
    for name, call in calls.items():
        try:
            call()
            seen[name] = None
        except openai.APIStatusError as error:
            seen[name] = {
                "class": type(error).__name__,
                "status": error.status_code,
                "code": error.code,
                "param": error.param,
                "request_id": error.request_id,
            }
    return seen


def models():
    completion = client.completions.create(model=MODEL, prompt="Stator is", max_tokens=8)
    return {
        "listed": [model.id for model in client.models.list()],
        "retrieved": client.models.retrieve(MODEL).object,
        "completion": completion.object,
        "completion_tokens": completion.usage.completion_tokens,
    }


SCENARIOS = {run.__name__: run for run in (same_text, usage, tools, responses, abort, errors, models)}
print(json.dumps(SCENARIOS[SCENARIO]()))
