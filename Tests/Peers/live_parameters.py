"""Walks the list of parameters in docs/api.md against a running gateway and a real model.

live_parameters.py URL KEY CHAT EMBED API_MD: what is honoured or without effect is taken and checked
for its type, what is refused is a 400 that names it, and no parameter of the list is left out.
"""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

url, key, chat, embed, docs = sys.argv[1:6]
client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
hello = [{"role": "user", "content": "hi"}]
small = {
    "/v1/chat/completions": {"model": chat, "messages": hello, "max_tokens": 1},
    "/v1/completions": {"model": chat, "prompt": "hi", "max_tokens": 1},
    "/v1/embeddings": {"model": embed, "input": "hi"},
    "/v1/responses": {"model": chat, "input": "hi", "max_output_tokens": 16},
    "/v1/messages": {"model": chat, "messages": hello, "max_tokens": 1},
    "/v1/messages/count_tokens": {"model": chat, "messages": hello},
    "/api/chat": {"model": chat, "messages": hello, "options": {"num_predict": 1}},
    "/api/generate": {"model": chat, "prompt": "hi", "options": {"num_predict": 1}},
}
# A value that is taken, and one of a wrong type; a key with a space is for one endpoint.
samples = {
    "model": (None, 7), "messages": (hello, "hi"), "prompt": ("hi", {}), "input": ("hi", {}),
    "stream": (True, "yes"), "max_completion_tokens": (1, 1.5), "max_tokens": (1, "9"),
    "max_output_tokens": (16, 0), "temperature": (0, "hot"), "top_p": (1, 1.1), "top_k": (40, 0.5),
    "min_p": (0.1, 2), "n": (2, 9), "stop": (["a"], [1]), "stop_sequences": (["a"], [""]),
    "seed": (-1, 1.5), "presence_penalty": (-2, 3), "frequency_penalty": (2, -3),
    "logit_bias": ({"5": -100}, {"five": 1}), "logprobs": (True, 5),
    "logprobs /v1/completions": (5, True), "top_logprobs": (20, 21), "tools": ([], {}),
    "tool_choice": ("none", "required"), "tool_choice /v1/messages": ({"type": "auto"}, "auto"),
    "tool_choice /v1/messages/count_tokens": ({"type": "auto"}, "auto"),
    "parallel_tool_calls": (True, 1), "response_format": ({"type": "json_object"}, {"type": "xml"}),
    "reasoning_effort": ("low", "most"), "chat_template_kwargs": ({"a": 1}, []),
    "prompt_cache_key": ("k", 1), "user": ("u", 1), "safety_identifier": ("u", 1),
    "metadata": ({"user_id": "a"}, 1), "store": (True, 1), "service_tier": ("auto", 1),
    "verbosity": ("low", 1), "prompt_cache_options": ({"ttl": "30m"}, 1),
    "prompt_cache_retention": ("24h", 1), "echo": (True, 1),
    "encoding_format": ("base64", "int8"), "dimensions": (256, 0), "instructions": ("be brief", 1),
    "system": ("be brief", 1), "text": ({"format": {"type": "text"}}, 1),
    "reasoning": ({"effort": "low"}, {"effort": "most"}), "truncation": ("disabled", "some"),
    "include": (["message.output_text.logprobs"], ["everything"]),
    "stream_options": ({"include_usage": True}, 1), "thinking": ({"type": "disabled"}, {"type": "maybe"}),
    "output_config": ({"effort": "max"}, {"effort": "most"}), "speed": ("fast", 1),
    "diagnostics": ({}, 1), "cache_control": ({"type": "ephemeral"}, 1), "context_management": ({}, 1),
    "format": ("json", 1), "options": ({"num_predict": 1, "num_ctx": 4096}, {"temperature": "hot"}),
    "think": (True, 1), "raw": (True, 1), "keep_alive": ("5m", {}),
}
# What a parameter needs beside it.
beside = {
    "top_logprobs /v1/chat/completions": {"logprobs": True},
    "stream_options /v1/chat/completions": {"stream": True},
    "stream_options /v1/completions": {"stream": True},
}


def named(answer, name):
    """Whether an error names a parameter, in the shape of the API that was asked."""
    error = answer.json()["error"]
    if isinstance(error, str):
        return name in error
    return (error.get("param") or "").startswith(name) or name in error["message"]


def check(case):
    endpoint, name, treatment = case
    body = small[endpoint]
    if treatment.startswith("refused"):
        answer = client.post(endpoint, json={**body, name: {"a": 1}})
        if answer.status_code != 400 or not named(answer, name):
            return f"{endpoint} {name} is not refused: {answer.status_code} {answer.text[:200]}"
        return None
    place = f"{name} {endpoint}"
    good, bad = samples[place if place in samples else name]
    body = {**body, **beside.get(place, {})}
    taken = client.post(endpoint, json=body if good is None else {**body, name: good})
    if taken.status_code != 200:
        return f"{endpoint} {name} is not taken: {taken.status_code} {taken.text[:200]}"
    wrong = client.post(endpoint, json={**body, name: bad})
    if wrong.status_code != 400 or not named(wrong, name):
        return f"{endpoint} {name}={bad!r} is not refused: {wrong.status_code} {wrong.text[:200]}"
    return None


cases = []
for section in open(docs).read().split("\n## `POST ")[1:]:
    endpoint = section.split("`")[0]
    rows = re.findall(r"^\| `(\w+)` \| (honoured|no effect|refused)", section, re.M)
    assert rows, f"{endpoint} lists nothing"
    cases += [(endpoint, name, treatment) for name, treatment in rows]
assert {case[0] for case in cases} == set(small), {case[0] for case in cases} ^ set(small)
with ThreadPoolExecutor(4) as pool:
    faults = [fault for fault in pool.map(check, cases) if fault]
assert not faults, "\n".join(faults)
# A name that nobody knows is no parameter, anywhere.
for endpoint, body in small.items():
    answer = client.post(endpoint, json={**body, "colour": 1})
    assert answer.status_code == 400 and named(answer, "colour"), (endpoint, answer.text)
print(f"{len(cases)} parameters are as docs/api.md says")
