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
