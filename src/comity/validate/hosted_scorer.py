"""The program that runs an ONNX model inside the sandbox: rows in, scores out. Started by `hosted_model`.

It is a script of its own and imports nothing of comity: inside the sandbox there is only Python, numpy and
onnxruntime. Arguments: model, rows (.npy, float32), output file, first row, numbers per row. Every row is run
by itself, so that no row's score can depend on another row: a guarantee for one record rests on it. The
output is that many float32 per row that was run, in order, written as it goes: after a crash the caller sees
which row it was.
"""

from __future__ import annotations

import sys


def main(model: str, rows: str, output: str, first: str, numbers: str) -> None:
    """Score the rows from `first` on; a row that fails, or gives fewer numbers, has NaN for all of them."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # the smallest numbers take many times longer to work with than others: their time would tell of them
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    matrix = np.load(rows, mmap_mode="r", allow_pickle=False)
    count = int(numbers)
    nothing = np.full(count, np.nan, dtype="<f4")
    with open(output, "wb", buffering=0) as file:
        for at in range(int(first), len(matrix)):
            try:
                answer = np.asarray(session.run(None, {name: matrix[at : at + 1]})[0], dtype="<f4")
                score = answer.reshape(-1)[-count:]
            except Exception:
                score = nothing
            file.write((score if len(score) == count else nothing).tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
