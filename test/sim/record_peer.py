"""Records what Dynamo's own replay says of some cells, for agreement.test.ts and docs/benchmarks.

    python record_peer.py cells.json FOLDER_OF_TRACES > recorded.json

with the Python of an installed ai-dynamo 1.6.1. A cell has the options of `stator replay` by their names; `requests` cuts the
trace, `handoff` goes to both engines. kv runs are repeated, because Dynamo breaks ties at random.
"""
import json
import os
import sys
import tempfile

os.environ.setdefault("DYN_LOG", "error")
import dynamo._core as dynamo

KV_RUNS = 8


def cell_of(cell, folder):
    engine = {"block_size": cell.get("blockSize", 512), "num_gpu_blocks": cell["blocks"]}
    if "hostBlocks" in cell:
        engine["native_host_offload"] = {"num_host_blocks": cell["hostBlocks"]}
        engine["kv_cache_bytes_per_token"] = 131072
    lines = open(f"{folder}/{cell['trace']}_trace.jsonl").readlines()[: cell.get("requests")]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as cut:
        cut.writelines(lines)
    path = cut.name
    options = dict(trace_block_size=512, arrival_speedup_ratio=float(cell.get("speedup", 1)), capture_planner_details=False,
                   sla_ttft_ms=2000.0, sla_itl_ms=25.0)
    if cell["router"] == "kv":
        options.update(router_mode="kv_router", router_config=dynamo.KvRouterConfig(**cell.get("set", {})))
    if "prefillWorkers" in cell:
        options.update(num_prefill_workers=cell["prefillWorkers"], num_decode_workers=cell["decodeWorkers"],
                       prefill_engine_args={"engine": {**engine, "worker_type": "prefill"}},
                       decode_engine_args={"engine": {**engine, "worker_type": "decode"}})
        options["prefill_engine_args"]["engine"].update(cell.get("handoff", {}))
        options["decode_engine_args"]["engine"].update(cell.get("handoff", {}))
    else:
        options.update(num_workers=cell["workers"], extra_engine_args={"engine": engine})
    runs = KV_RUNS if cell["router"] == "kv" else 1
    seen = [dynamo.run_mocker_trace_replay([path], **options).summary for _ in range(runs)]
    os.unlink(path)

    def column(name):
        values = [run[name] for run in seen]
        return {"mean": sum(values) / runs, "min": min(values), "max": max(values)} if runs > 1 else values[0]
    return {"requests": seen[0]["completed_requests"], "ttft_ms": column("mean_ttft_ms"), "e2e_ms": column("mean_e2e_latency_ms"),
            "itl_ms": column("mean_itl_ms"), "reuse": column("first_admission_prefix_cache_reused_ratio"),
            "p99_ttft_ms": column("p99_ttft_ms")}


if __name__ == "__main__":
    cells, folder = json.load(open(sys.argv[1])), sys.argv[2]
    print(json.dumps([{"cell": cell, "dynamo": cell_of(cell, folder)} for cell in cells], indent=1))
