"""The official OpenAI package against a running gateway: openai_client.py BASE_URL KEY MODEL."""

import sys

import openai

base_url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=120)
question = [{"role": "user", "content": "Say hello."}]

whole = client.chat.completions.create(
    model=model, messages=question, temperature=0, max_tokens=16, seed=1
)
assert whole.choices[0].message.content, "an empty answer"
assert whole.usage.completion_tokens > 0

text = ""
for chunk in client.chat.completions.create(
    model=model, messages=question, temperature=0, max_tokens=16, seed=1, stream=True
):
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
assert text == whole.choices[0].message.content, "the stream shows another text"

two = client.chat.completions.create(
    model=model, messages=question, n=2, temperature=1, max_tokens=8, seed=7
)
assert len(two.choices) == 2

schema = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "year": {"type": "integer"}},
    "required": ["city", "year"],
    "additionalProperties": False,
}
import json

structured = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "A city and a year as JSON."}],
    max_tokens=64,
    temperature=0,
    response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": schema}},
)
place = json.loads(structured.choices[0].message.content)
assert set(place) == {"city", "year"} and isinstance(place["year"], int), place

# The same seed gives the same text; a stop text ends it and is not part of it.
warm = {"model": model, "messages": question, "temperature": 1, "max_tokens": 12}
once = client.chat.completions.create(**warm, seed=5).choices[0].message.content
assert client.chat.completions.create(**warm, seed=5).choices[0].message.content == once
word = whole.choices[0].message.content.split()[1]
cut = client.chat.completions.create(
    model=model, messages=question, temperature=0, max_tokens=16, seed=1, stop=[word]
)
assert cut.choices[0].finish_reason == "stop"
assert whole.choices[0].message.content.startswith(cut.choices[0].message.content)
assert word not in cut.choices[0].message.content, cut

# Log-probabilities: one entry a token, most likely first; greedy takes the first.
likely = client.chat.completions.create(
    model=model, messages=question, temperature=0, max_tokens=6, logprobs=True, top_logprobs=3
)
tokens = likely.choices[0].logprobs.content
assert len(tokens) == likely.usage.completion_tokens == 6, tokens
for token in tokens:
    assert len(token.top_logprobs) == 3 and token.logprob <= 0, token
    assert token.top_logprobs[0].token == token.token, token
assert "".join(token.token for token in tokens) == likely.choices[0].message.content

# A stream of two choices, with its usage at the end.
texts = {0: "", 1: ""}
usage = None
for chunk in client.chat.completions.create(
    model=model, messages=question, n=2, temperature=1, max_tokens=8, seed=7, stream=True,
    stream_options={"include_usage": True},
):
    for choice in chunk.choices:
        texts[choice.index] += choice.delta.content or ""
    usage = chunk.usage or usage
assert [texts[0], texts[1]] == [choice.message.content for choice in two.choices], texts
assert usage.completion_tokens == two.usage.completion_tokens, usage

# Text completions, and a model whose template takes a reasoning effort or not.
assert client.completions.create(model=model, prompt="Once upon", max_tokens=4).choices[0].text
thought = client.chat.completions.create(
    model=model, messages=question, max_tokens=4, reasoning_effort="low"
)
assert thought.usage.completion_tokens_details.reasoning_tokens == 0, thought.usage

try:
    client.chat.completions.create(model="no-such-model", messages=question)
    raise AssertionError("an unknown model was answered")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error

try:
    openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was taken")
except openai.AuthenticationError:
    pass

print("the openai package is served")
