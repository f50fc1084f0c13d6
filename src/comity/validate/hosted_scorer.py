"""The program that runs an ONNX model inside the sandbox: rows in, scores out. Started by `hosted_model`.

It is a script of its own and imports nothing of comity: inside the sandbox there is only Python, numpy and
onnxruntime. Arguments: model, rows (.npy, float32), output file, first row. Every row is run by itself, so
that no row's score can depend on another row: a guarantee for one record rests on it. The output is one
float32 per row that was run, in order, written as it goes: after a crash the caller sees which row it was.
"""

from __future__ import annotations

import sys


def main(model: str, rows: str, output: str, first: str) -> None:
    """Score the rows from `first` on; a row that fails has the score NaN."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    matrix = np.load(rows, mmap_mode="r", allow_pickle=False)
    nothing = np.full(1, np.nan, dtype="<f4")
    with open(output, "wb", buffering=0) as file:
        for at in range(int(first), len(matrix)):
            try:
                answer = np.asarray(session.run(None, {name: matrix[at : at + 1]})[0], dtype="<f4")
                score = answer.reshape(-1)[-1:]
            except Exception:
                score = nothing
            file.write((score if len(score) else nothing).tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
