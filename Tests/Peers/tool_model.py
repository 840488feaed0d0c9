"""Gives a GGUF file another chat template: tool_model.py SOURCE TEMPLATE TARGET.

The bundled model speaks ChatML but its own template knows no tools; with the template of a ChatML
model that does, it stands in for one in tests of calls: grammar and parser do the rest.
"""

import struct
import sys

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
KEY = b"tokenizer.chat_template"
source, template, target = sys.argv[1:4]
data = memoryview(open(source, "rb").read())
position = 0


def number(form):
    global position
    (value,) = struct.unpack_from(form, data, position)
    position += struct.calcsize(form)
    return value


def text():
    global position
    length = number("<Q")
    position += length
    return bytes(data[position - length : position])


def skip(kind):
    global position
    if kind == 8:
        text()
    elif kind == 9:
        inner, count = number("<I"), number("<Q")
        if inner in SIZES:
            position += SIZES[inner] * count
        else:
            for _ in range(count):
                skip(inner)
    else:
        position += SIZES[kind]


assert bytes(data[:4]) == b"GGUF", "not a GGUF file"
position = 8
tensors, pairs = number("<Q"), number("<Q")
header = [bytes(data[:position])]
alignment, found = 32, False
for _ in range(pairs):
    start = position
    key, kind = text(), number("<I")
    value = position
    skip(kind)
    if key == KEY:
        new = open(template, "rb").read()
        header += [bytes(data[start:value]), struct.pack("<Q", len(new)), new]
        found = True
        continue
    if key == b"general.alignment":
        (alignment,) = struct.unpack_from("<I", data, value)
    header.append(bytes(data[start:position]))
assert found, "the model has no template"
start = position
for _ in range(tensors):
    text()
    dimensions = number("<I")
    position += 8 * dimensions + 12
header.append(bytes(data[start:position]))
with open(target, "wb") as file:
    for piece in header:
        file.write(piece)
    file.write(b"\0" * (-file.tell() % alignment))
    file.write(data[position + -position % alignment :])
