"""The official packages against a real network and a real model: live_dialects.py URL KEY CHAT EMBED.

What a small model says is chance; what is checked is that every package understands the answer.
"""

import json
import sys
import time

import anthropic
import ollama
import openai

url, key, chat, embed = sys.argv[1:5]
gpt = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60)
claude = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=60)
llama = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
cold = {"temperature": 0}
hello = [{"role": "user", "content": "Say hello."}]
place = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}},
    "required": ["city"],
    "additionalProperties": False,
}

# Chat models come first, for programs that take the first.
models = [model.id for model in gpt.models.list()]
assert models == [chat, embed], models
assert [model.model for model in llama.list().models] == models

# A forced call has the function's name and arguments of its schema, in every dialect; a model whose
# template knows no tools refuses them by name.
function = {"type": "function", "function": {"name": "place", "parameters": place}}
flat = {"type": "function", "name": "place", "parameters": place, "strict": True}
item = {"name": "place", "input_schema": place}


def chat_call():
    with gpt.chat.completions.stream(
        model=chat, messages=hello, tools=[function], max_tokens=40, temperature=0,
        tool_choice={"type": "function", "function": {"name": "place"}},
    ) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0].function
    return call.name, json.loads(call.arguments)


def response_call():
    response = gpt.responses.create(
        model=chat, input="Say hello.", tools=[flat], max_output_tokens=40, temperature=0,
        tool_choice={"type": "function", "name": "place"},
    )
    return response.output[-1].name, json.loads(response.output[-1].arguments)


def message_call():
    message = claude.messages.create(
        model=chat, max_tokens=40, messages=hello, tools=[item], extra_body=cold,
        tool_choice={"type": "tool", "name": "place"},
    )
    assert message.stop_reason == "tool_use", message
    return message.content[-1].name, message.content[-1].input


# Anthropic's clients learn which of their texts ended an answer.
asked = dict(model=chat, max_tokens=24, messages=hello, extra_body=cold)
whole = claude.messages.create(**asked).content[0].text
word = whole[len(whole) // 3 :].split()[1]
asked["stop_sequences"] = ["\x01never", word]
cut = claude.messages.create(**asked)
assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", word), cut
assert whole.startswith(cut.content[0].text) and word not in cut.content[0].text, (whole, cut)
with claude.messages.stream(**asked) as stream:
    streamed = stream.get_final_message()
assert (streamed.stop_reason, streamed.stop_sequence) == ("stop_sequence", word), streamed

for call in [chat_call, response_call, message_call]:
    try:
        name, arguments = call()
        assert name == "place" and set(arguments) == {"city"}, (name, arguments)
    except (openai.BadRequestError, anthropic.BadRequestError) as error:
        assert "knows no tools" in str(error), error

# Streams say what whole answers say; Responses in true increments.
whole = gpt.responses.create(model=chat, input="Say hello.", max_output_tokens=24, temperature=0)
with gpt.responses.stream(
    model=chat, input="Say hello.", max_output_tokens=24, temperature=0
) as stream:
    events = list(stream)
pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
assert events[-1].type in ("response.completed", "response.incomplete"), events[-1]
assert len(pieces) > 3 and "".join(pieces) == whole.output_text, pieces
with claude.messages.stream(
    model=chat, max_tokens=24, messages=hello, extra_body=cold
) as stream:
    text = "".join(stream.text_stream)
    usage = stream.get_final_message().usage
assert text == whole.output_text, (text, whole.output_text)
# Anthropic counts what a cache spared apart.
prompt = usage.input_tokens + usage.cache_read_input_tokens
assert prompt == whole.usage.input_tokens and usage.output_tokens == 24, (usage, whole.usage)
parts = list(
    llama.chat(chat, hello, stream=True, options={"temperature": 0, "num_predict": 24})
)
assert "".join(part.message.content for part in parts) == text
assert parts[-1].done and parts[-1].eval_count > 0
assert llama.generate(chat, "Once", options={"num_predict": 4}).response
schema = llama.chat(chat, hello, format=place, options={"num_predict": 40, "temperature": 0})
assert set(json.loads(schema.message.content)) == {"city"}

# The count is the one that an answer reports.
count = claude.messages.count_tokens(model=chat, messages=hello)
assert count.input_tokens == prompt, (count, usage)

# Vectors, as numbers and as base64.
vectors = gpt.embeddings.create(model=embed, input=["a cat", "tax law"])
assert [len(entry.embedding) for entry in vectors.data] == [384, 384]

# Errors are the packages' own kinds.
for make, kind in [
    (lambda: claude.messages.create(model="none", max_tokens=4, messages=hello),
     anthropic.NotFoundError),
    (lambda: claude.messages.create(model=chat, max_tokens=4, messages=hello,
                                    extra_body={"temperature": 2}),
     anthropic.BadRequestError),
    (lambda: gpt.chat.completions.create(model=embed, messages=hello), openai.BadRequestError),
    (lambda: gpt.responses.create(model=chat, input="x", previous_response_id="r"),
     openai.BadRequestError),
    (lambda: llama.chat("none", hello), ollama.ResponseError),
    (lambda: anthropic.Anthropic(base_url=url, api_key="no", max_retries=0).models.list(),
     anthropic.AuthenticationError),
]:
    try:
        make()
        raise SystemExit(f"no {kind.__name__}")
    except kind:
        pass

# A program that gives up, by its own time-out or in the middle of a stream, is left alone.
try:
    gpt.with_options(timeout=0.05).chat.completions.create(
        model=chat, messages=hello, max_tokens=500
    )
    raise SystemExit("500 tokens in 50 ms")
except openai.APITimeoutError:
    pass
stream = gpt.chat.completions.create(model=chat, messages=hello, max_tokens=500, stream=True)
next(iter(stream))
stream.close()
start = time.monotonic()
gpt.chat.completions.create(model=chat, messages=hello, max_tokens=1)
print(f"every dialect is served; {time.monotonic() - start:.2f} s after two that were left")
