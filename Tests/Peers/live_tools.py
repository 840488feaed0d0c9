"""Calls of functions by the official packages through a real network: live_tools.py URL KEY MODEL.

A small model calls what the grammar lets it: names and arguments are checked, not good sense.
"""

import json
import sys

import anthropic
import ollama
import openai

url, key, model = sys.argv[1:4]
gpt = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=120)
claude = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=120)
llama = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"}, timeout=120)
question = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]


def schema(name):
    return {
        "type": "object",
        "properties": {name: {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": [name],
        "additionalProperties": False,
    }


functions = [
    {"type": "function", "function": {"name": "weather", "parameters": schema("city")}},
    {"type": "function", "function": {"name": "clock", "parameters": schema("place")}},
]
members = {"weather": "city", "clock": "place"}


def valid(name, arguments):
    assert set(arguments) == {members[name]}, (name, arguments)
    assert arguments[members[name]] in ("Paris", "Rome"), (name, arguments)


common = {"model": model, "messages": question, "tools": functions, "max_tokens": 120,
          "temperature": 0}

# Every choice that there is.
for choice in ["required", {"type": "function", "function": {"name": "clock"}}]:
    for parallel in [True, False]:
        answer = gpt.chat.completions.create(
            **common, tool_choice=choice, parallel_tool_calls=parallel
        ).choices[0]
        assert answer.finish_reason == "tool_calls", answer
        calls = answer.message.tool_calls
        assert parallel or len(calls) == 1, calls
        assert len({call.id for call in calls}) == len(calls), calls
        for call in calls:
            valid(call.function.name, json.loads(call.function.arguments))
            assert choice == "required" or call.function.name == "clock", call
none = gpt.chat.completions.create(**common | {"max_tokens": 8}, tool_choice="none").choices[0]
assert none.message.tool_calls is None, none
free = gpt.chat.completions.create(**common, tool_choice="auto").choices[0]
for call in free.message.tool_calls or []:
    valid(call.function.name, json.loads(call.function.arguments))

# A stream's pieces make the same call; its result goes back and is answered.
whole = gpt.chat.completions.create(
    **common, tool_choice="required", parallel_tool_calls=False
).choices[0].message
with gpt.chat.completions.stream(
    **common, tool_choice="required", parallel_tool_calls=False
) as stream:
    streamed = stream.get_final_completion().choices[0].message
assert streamed.tool_calls[0].function.name == whole.tool_calls[0].function.name
assert streamed.tool_calls[0].function.arguments == whole.tool_calls[0].function.arguments
result = {"role": "tool", "tool_call_id": whole.tool_calls[0].id, "content": "sunny"}
history = [*question, whole.to_dict(), result]
assert gpt.chat.completions.create(
    **common | {"messages": history, "max_tokens": 8}, tool_choice="none"
).choices[0].message.content

response = gpt.responses.create(
    model=model, input="The weather in Rome?", max_output_tokens=120, temperature=0,
    tools=[{"type": "function", "name": "weather", "parameters": schema("city"), "strict": True}],
    tool_choice="required",
)
item = response.output[-1]
assert item.type == "function_call", response
valid(item.name, json.loads(item.arguments))

with claude.messages.stream(
    model=model, max_tokens=120, messages=question, extra_body={"temperature": 0},
    tools=[{"name": "weather", "input_schema": schema("city")}],
    tool_choice={"type": "any", "disable_parallel_tool_use": True},
) as stream:
    message = stream.get_final_message()
assert message.stop_reason == "tool_use", message
uses = [block for block in message.content if block.type == "tool_use"]
assert len(uses) == 1, message
valid(uses[0].name, uses[0].input)

parts = llama.chat(model, question, tools=functions, options={"temperature": 0, "num_predict": 60})
for call in parts.message.tool_calls or []:
    valid(call.function.name, call.function.arguments)
print("calls are the packages' own kinds in every dialect")
