"""The official Anthropic package against a scripted gateway: anthropic_client.py URL KEY API_MD.

The script of the gateway: reasoning `hm`, text `Hello`, one call `f({"x":1})`.
"""

import inspect
import sys

import anthropic

url, key, docs = sys.argv[1:4]
OUTSIDE = {"timeout", "workspace_id", "user_profile_id", "betas"}
client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30)
tool = {
    "name": "f",
    "description": "a function",
    "input_schema": {"type": "object", "properties": {"x": {"type": "integer"}}},
}
request = {
    "model": "org/chat",
    "max_tokens": 2000,
    "system": "be brief",
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [tool],
}
thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def check(message, kinds):
    assert [block.type for block in message.content] == kinds, message.content
    if kinds[0] == "thinking":
        assert message.content[0].thinking == "hm"
    assert message.content[-2].text == "Hello"
    assert (message.content[-1].name, message.content[-1].input) == ("f", {"x": 1})
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 3), message.usage


check(client.messages.create(**request), ["text", "tool_use"])
first = client.messages.create(**request, **thinking)
check(first, ["thinking", "text", "tool_use"])
for extra, kinds in [({}, ["text", "tool_use"]), (thinking, ["thinking", "text", "tool_use"])]:
    with client.messages.stream(**request, **extra) as stream:
        assert "".join(stream.text_stream) == "Hello"
        check(stream.get_final_message(), kinds)

# What was answered goes back as it came, with the tool's result.
history = [
    *request["messages"],
    {"role": "assistant", "content": [block.to_dict() for block in first.content]},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "2"}
        ],
    },
]
check(client.messages.create(**request | {"messages": history}), ["text", "tool_use"])

try:
    client.messages.create(**request, extra_body={"temperature": 1.5})
    raise AssertionError("a temperature of 1.5 was taken")
except anthropic.BadRequestError as error:
    assert error.body["error"]["type"] == "invalid_request_error", error.body
count = client.messages.count_tokens(model="org/chat", messages=request["messages"])
assert count.input_tokens == 5, count
try:
    anthropic.Anthropic(base_url=url, api_key="wrong", max_retries=0).messages.create(**request)
    raise AssertionError("a wrong key was taken")
except anthropic.AuthenticationError:
    pass
# Every parameter that the package knows is in the list of docs/api.md.
for method, endpoint in [
    (client.messages.create, "/v1/messages"),
    (client.messages.count_tokens, "/v1/messages/count_tokens"),
]:
    listed = open(docs).read().split(f"## `POST {endpoint}`\n")[1].split("\n## ")[0]
    for name in inspect.signature(method).parameters:
        # These are no members of the body.
        if name.startswith("extra_") or name in OUTSIDE:
            continue
        assert f"| `{name}` |" in listed, f"{endpoint} does not list {name}"
print("ok")
