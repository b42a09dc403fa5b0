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


SCENARIOS = {run.__name__: run for run in (same_text, usage, abort, errors, models)}
print(json.dumps(SCENARIOS[SCENARIO]()))
