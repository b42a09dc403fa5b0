"""Triton's gRPC client against a platform: runs the scenario that it is told and prints one JSON object.

    kserve_client.py ADDRESS API_KEY SCENARIO
"""

import json
import queue
import sys

import numpy as np
import tritonclient.grpc as triton

ADDRESS, API_KEY, SCENARIO = sys.argv[1:4]
MODEL = "kserve-model"
HEADERS = {"authorization": f"Bearer {API_KEY}"}
PARAMETERS = {"max_tokens": 6, "seed": 7, "ignore_eos": True}
client = triton.InferenceServerClient(ADDRESS)


def inputs(text, streaming=None):
    prompt = triton.InferInput("text_input", [1], "BYTES")
    prompt.set_data_from_numpy(np.array([text.encode()], dtype=object))
    if streaming is None:
        return [prompt]
    flag = triton.InferInput("streaming", [1], "BOOL")
    flag.set_data_from_numpy(np.array([streaming], dtype=bool))
    return [prompt, flag]


def text_of(result):
    return result.as_numpy("text_output")[0].decode()


def whole():
    return client.infer(MODEL, inputs("hello"), headers=HEADERS, parameters=PARAMETERS, request_id="mine")


def about():
    metadata = client.get_model_metadata(MODEL, headers=HEADERS)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(MODEL, headers=HEADERS),
        "unknown_ready": client.is_model_ready("nobody", headers=HEADERS),
        "name": client.get_server_metadata().name,
        "inputs": [[tensor.name, tensor.datatype] for tensor in metadata.inputs],
        "outputs": [[tensor.name, tensor.datatype] for tensor in metadata.outputs],
    }


def same_text():
    answer = whole()
    results = queue.Queue()
    client.start_stream(lambda result, error: results.put((result, error)), headers=HEADERS)
    client.async_stream_infer(MODEL, inputs("hello", True), parameters=PARAMETERS, request_id="stream")
    client.async_stream_infer("nobody", inputs("hello", True), request_id="lost")
    streamed, final = [], False
    while not final:
        result, error = results.get(timeout=60)
        if error:
            raise error
        streamed.append(text_of(result))
        final = result.get_response().parameters["triton_final_response"].bool_param
    _, error = results.get(timeout=60)
    client.stop_stream()
    return {
        "whole": text_of(answer),
        "id": answer.get_response().id,
        "finish_reason": answer.as_numpy("finish_reason")[0].decode(),
        "streamed": streamed,
        "error": str(error),
    }


def refused():
    try:
        client.infer("nobody", inputs("hello"), headers=HEADERS)
    except triton.InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}


scenarios = {scenario.__name__: scenario for scenario in (about, same_text, refused)}
print(json.dumps(scenarios[SCENARIO]()))
