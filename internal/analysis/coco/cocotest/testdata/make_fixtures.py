"""Makes cases.json.gz, and writes the answers into demo.json.gz, with pycocotools.

How it was run: Python 3.11.2 and numpy 1.24.2 of Debian 12, and pycocotools 2.0.11
built from https://github.com/ppwwyyxx/cocoapi (the source of the package on PyPI) at
commit ac87f5077ad6b8864c2dc5e93d14cae62d1db05a, outside this repository:

    cd cocoapi/PythonAPI && python3 setup.py build_ext --inplace
    cd cvexport && go test ./internal/analysis/evaluate -run Demo -update   # the inputs in demo.json.gz
    cd internal/analysis/coco/cocotest/testdata && PYTHONPATH=.../cocoapi/PythonAPI python3 make_fixtures.py

Boxes are fractions of an image, as in a warehouse. They are multiplied by its width and
height here, as they are in package coco.
"""

import contextlib
import gzip
import io
import json
import random

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

VERSION = "pycocotools 2.0.11"


def answers(case):
    """The twelve numbers of all tags, then those of each tag; -1 where there is nothing."""

    def pixels(image, box):
        w, h = case["images"][image]
        return [box[0] * w, box[1] * h, box[2] * w, box[3] * h]

    tags = list(range(1, case["tags"] + 1))
    labels = []
    for n, (image, tag, *box) in enumerate(case["labels"]):
        box = pixels(image, box)
        labels.append({"id": n + 1, "image_id": image + 1, "category_id": tag + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    detections = [
        {"image_id": image + 1, "category_id": tag + 1, "bbox": pixels(image, box), "score": score}
        for image, tag, score, *box in case["detections"]
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n + 1, "width": w, "height": h} for n, (w, h) in enumerate(case["images"])],
            "categories": [{"id": t, "name": str(t)} for t in tags],
            "annotations": labels,
        }
        truth.createIndex()
        # loadRes cannot read an empty list.
        found = truth.loadRes(detections) if detections else COCO()
        lines = []
        for chosen in [tags] + [[t] for t in tags]:
            e = COCOeval(truth, found, "bbox")
            e.params.catIds = chosen
            e.evaluate()
            e.accumulate()
            e.summarize()
            lines.append([float(v) for v in e.stats])
    return lines


def made_up(r, n):
    """A case of a few images, with what is rare in real ones."""
    grid = r.random() < 0.5  # overlaps that are exactly a threshold, and many that are equal
    crowded = n % 12 == 0  # more than a hundred detections of a tag in an image
    busy = n % 5 == 1  # more than ten
    tags = r.randint(1, 5)
    unlabelled, unpredicted = r.randrange(tags) if r.random() < 0.4 else -1, r.randrange(tags) if r.random() < 0.3 else -1
    scores = r.choice([3, 10, 100, 10_000])
    images, labels, detections = [], [], []
    sides = [16, 32, 96, 128] if grid else []
    for image in range(r.randint(1, 3 if crowded else 7)):
        size = [r.choice([256, 512, 1024]), r.choice([256, 512])] if grid else [r.randint(60, 1500), r.randint(60, 1500)]
        images.append(size)

        def box():
            if grid:
                w, h = r.choice(sides), r.choice(sides)
                pixels = [8 * r.randint(0, 12), 8 * r.randint(0, 12), w, h]
                return [pixels[0] / size[0], pixels[1] / size[1], w / size[0], h / size[1]]
            w, h = (r.choice([0.02, 0.08, 0.3, 0.7]) * r.uniform(0.5, 1.3) for _ in range(2))
            return [round(v, 4) for v in (r.uniform(0, max(0, 1 - w)), r.uniform(0, max(0, 1 - h)), w, h)]

        def near(box):
            if grid:
                moved = list(box)
                moved[r.randrange(4)] += r.choice([-8, 0, 8, 16]) / size[0]
                return [max(0, v) for v in moved]
            return [round(max(0, v + r.gauss(0, 0.1) * box[2 + side % 2]), 4) for side, v in enumerate(box)]

        kind = r.random()
        here = []
        if kind > 0.15:  # else an image without labels
            for _ in range(r.randint(15, 40) if crowded else r.randint(1, 6)):
                tag = r.randrange(tags)
                if tag != unlabelled:
                    b = near(r.choice(here)[1]) if here and r.random() < 0.3 else box()
                    if r.random() < 0.03:
                        b[2 + r.randrange(2)] = 0  # no area
                    here.append((tag, b))
                    labels.append([image, tag] + b)
        found = []
        if kind > 0.05:  # else nothing in the image at all
            for tag, b in here:
                for _ in range(r.choice([0, 1, 1, 2, 3])):
                    found.append((tag if r.random() < 0.9 else r.randrange(tags), near(b)))
            for _ in range(r.randint(150, 260) if crowded else r.randint(12, 40) if busy else r.randint(0, 5)):
                if here and r.random() < 0.5:
                    tag, b = r.choice(here)
                    found.append((0 if crowded else tag, near(b)))
                else:
                    found.append((0 if crowded or busy else r.randrange(tags), box()))
        r.shuffle(found)
        for tag, b in found:
            if tag != unpredicted:
                if r.random() < 0.03:
                    b[2 + r.randrange(2)] = 0
                detections.append([image, tag, r.randint(0, scores) / scores] + b)
    return {"name": f"made up {n}", "images": images, "tags": tags, "labels": labels, "detections": detections}


def seven_images():
    """samples/sample_2 of https://github.com/rafaelpadilla/Object-Detection-Metrics (MIT), images of 200 by 200."""
    labels = """1 25 16 38 56; 1 129 123 41 62; 2 123 11 43 55; 2 38 132 59 45; 3 16 14 35 48; 3 123 30 49 44;
        3 99 139 47 47; 4 53 42 40 52; 4 154 43 31 34; 5 59 31 44 51; 5 48 128 34 52; 6 36 89 52 76; 6 62 58 44 67;
        7 28 31 55 63; 7 58 67 50 58"""
    detections = """1 .88 5 67 31 48; 1 .70 119 111 40 67; 1 .80 124 9 49 67; 2 .71 64 111 64 58; 2 .54 26 140 60 47;
        2 .74 19 18 43 35; 3 .18 109 15 77 39; 3 .67 86 63 46 45; 3 .38 160 62 36 53; 3 .91 105 131 47 47;
        3 .44 18 148 40 44; 4 .35 83 28 28 26; 4 .78 28 68 42 67; 4 .45 87 89 25 39; 4 .14 10 155 60 26;
        5 .62 50 38 28 46; 5 .44 95 11 53 28; 5 .95 29 131 72 29; 5 .23 29 163 72 29; 6 .45 43 48 74 38;
        6 .84 17 155 29 35; 6 .43 95 110 25 42; 7 .48 16 20 101 88; 7 .95 33 116 37 49"""
    rows = lambda text: [[float(v) for v in line.split()] for line in text.split(";")]
    return {
        "name": "seven images",
        "images": [[200, 200]] * 7,
        "tags": 1,
        "labels": [[int(i) - 1, 0] + [v / 200 for v in box] for i, *box in rows(labels)],
        "detections": [[int(i) - 1, 0, score] + [v / 200 for v in box] for i, score, *box in rows(detections)],
    }


def write(name, cases):
    for case in cases:
        case["answers"] = answers(case)
    text = json.dumps({"by": VERSION, "cases": cases}, separators=(",", ":"))
    with open(name, "wb") as f, gzip.GzipFile(filename="", fileobj=f, mode="wb", mtime=0) as z:
        z.write(text.encode())


if __name__ == "__main__":
    r = random.Random(20)
    write("cases.json.gz", [seven_images()] + [made_up(r, n) for n in range(200)])
    with gzip.open("demo.json.gz") as f:
        demo = json.load(f)
    write("demo.json.gz", demo["cases"])
