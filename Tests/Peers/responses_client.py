"""The official OpenAI package against a scripted gateway: responses_client.py URL KEY API_MD.

The script of the gateway: reasoning `hm`, text `Hello`, one call `f({"x":1})`.
"""

import inspect
import sys

import openai

url, key, docs = sys.argv[1:4]
OUTSIDE = {"timeout"}
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)
tool = {
    "type": "function",
    "name": "f",
    "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
    "strict": False,
}


def check(response):
    assert response.status == "completed", response
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.output[0].content[0].text == "hm"
    assert response.output_text == "Hello"
    call = response.output[2]
    assert (call.name, call.arguments) == ("f", '{"x":1}')
    assert response.usage.input_tokens == 5 and response.usage.total_tokens == 8
    assert response.instructions == "be brief"


request = {"model": "org/chat", "input": "hi", "instructions": "be brief", "tools": [tool]}
check(client.responses.create(**request))

seen = []
with client.responses.stream(**request) as stream:
    for event in stream:
        seen.append(event.type)
    check(stream.get_final_response())
for name in ["created", "in_progress", "output_text.delta", "reasoning_text.delta", "completed"]:
    assert f"response.{name}" in seen, name

# What was answered goes back as it came, with the tool's result.
first = client.responses.create(**request)
history = [{"role": "user", "content": "hi"}, *[item.to_dict() for item in first.output]]
history.append(
    {"type": "function_call_output", "call_id": first.output[2].call_id, "output": "2"}
)
check(client.responses.create(**request | {"input": history}))

chat = [{"role": "user", "content": "hi"}]
whole = client.chat.completions.create(model="org/chat", messages=chat)
assert whole.choices[0].message.content == "Hello"
assert whole.choices[0].message.tool_calls[0].function.arguments == '{"x":1}'
parts = client.chat.completions.create(
    model="org/chat", messages=chat, stream=True, stream_options={"include_usage": True}
)
chunks = list(parts)
assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello"
assert chunks[-1].usage.total_tokens == 8
with client.chat.completions.stream(model="org/chat", messages=chat) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.tool_calls[0].function.name == "f"

assert client.models.list().data[0].id == "org/chat"
assert client.models.retrieve("org/chat").id == "org/chat"

for bad, parameter in [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"temperature": 3}, "temperature"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
]:
    try:
        client.responses.create(**request | bad)
        raise AssertionError(f"{parameter} was taken")
    except openai.BadRequestError as error:
        assert error.param == parameter, error.param
try:
    openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was taken")
except openai.AuthenticationError:
    pass
# Every parameter that the package knows is in the list of docs/api.md.
for method, endpoint in [
    (client.chat.completions.create, "/v1/chat/completions"),
    (client.completions.create, "/v1/completions"),
    (client.embeddings.create, "/v1/embeddings"),
    (client.responses.create, "/v1/responses"),
]:
    listed = open(docs).read().split(f"## `POST {endpoint}`\n")[1].split("\n## ")[0]
    for name in inspect.signature(method).parameters:
        # These are no members of the body.
        if name.startswith("extra_") or name in OUTSIDE:
            continue
        assert f"| `{name}` |" in listed, f"{endpoint} does not list {name}"
print("ok")
