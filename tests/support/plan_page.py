"""plan_page.py PAGE [PNG]: what stands in a plan's page, as JSON.

{"errors": how often the HTML parser (html5lib, the standard's algorithm) had to guess, "outside": what leads out of the page, "rows": labels
of rows, "bars": how many, "marked": tooltips of the bars that are marked, "bars_outside": bars that stick out of their drawing, "cells": the
cells of the table of audits, "red": pixels of PNG, a screenshot, in the colour that marks what is wrong}.
"""
import json
import struct
import sys
import zlib

import html5lib

SVG = "{http://www.w3.org/2000/svg}"
HTML = "{http://www.w3.org/1999/xhtml}"
RED = (179, 38, 30)


def pixels(path):
    """The rows of an 8-bit RGB or RGBA PNG (RFC 2083)."""
    data = open(path, "rb").read()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colours in (2, 6), "not a PNG this reads"
            step = 3 if colours == 2 else 4
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    raw, before = zlib.decompress(packed), bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        how, line = raw[start], bytearray(raw[start + 1:start + 1 + width * step])
        for i in range(len(line)):
            left = line[i - step] if i >= step else 0
            up, corner = before[i], before[i - step] if i >= step else 0
            if how == 1:
                line[i] = (line[i] + left) & 255
            elif how == 2:
                line[i] = (line[i] + up) & 255
            elif how == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif how == 4:
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
                line[i] = (line[i] + near[2]) & 255
        before = line
        yield [tuple(line[i:i + 3]) for i in range(0, len(line), step)]


parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"))
page = parser.parse(open(sys.argv[1], encoding="utf-8").read())
out = {"errors": len(parser.errors), "outside": [], "rows": [], "bars": 0, "marked": [], "bars_outside": 0, "cells": []}
for element in page.iter():
    if not isinstance(element.tag, str):
        continue
    for name, value in element.attrib.items():
        if name in ("src", "href", "xlink:href", "action") or "url(" in value or name.startswith("on"):
            out["outside"].append("%s %s=%s" % (element.tag, name, value))
    if element.tag in (HTML + "script", HTML + "img", HTML + "link", HTML + "iframe", SVG + "image", SVG + "script"):
        out["outside"].append(element.tag)
for svg in page.iter(SVG + "svg"):
    width = float(svg.attrib["viewBox"].split()[2])
    height = float(svg.attrib["viewBox"].split()[3])
    for bar in svg.iter(SVG + "rect"):
        x, y = float(bar.attrib["x"]), float(bar.attrib["y"])
        out["bars"] += "window" not in bar.attrib["class"]
        inside = 0 <= x and x + float(bar.attrib["width"]) <= width + 1 and 0 <= y and y + float(bar.attrib["height"]) <= height
        out["bars_outside"] += not inside
        if "bad" in bar.attrib["class"].split():
            out["marked"].append(bar.find(SVG + "title").text)
    out["rows"] += [label.text for label in svg.iter(SVG + "text") if label.find(SVG + "title") is not None]
for row in page.iter(HTML + "tr"):
    out["cells"].append([("".join(cell.itertext())) for cell in row.iter(HTML + "td")])
if len(sys.argv) > 2:
    out["red"] = sum(sum(abs(a - b) for a, b in zip(pixel, RED)) < 24 for row in pixels(sys.argv[2]) for pixel in row)
json.dump(out, sys.stdout)
