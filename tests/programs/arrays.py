# SPDX-License-Identifier: GPL-2.0
"""Python's and numpy's ways to memory that is shared, in a folder: arrays.py FOLDER."""
import mmap
import multiprocessing
import os
import sys
from multiprocessing import shared_memory

import numpy

folder = sys.argv[1]
path = os.path.join(folder, "array")


def child(name):
    block = shared_memory.SharedMemory(name=name)
    numpy.ndarray((1000, 1000), dtype="f8", buffer=block.buf)[:] *= 2
    block.close()


# numpy.memmap: made, read by another, copied on write.
array = numpy.memmap(path, dtype="f4", mode="w+", shape=(1000, 3000))
array[:] = numpy.arange(3000, dtype="f4")
array.flush()
again = numpy.memmap(path, dtype="f4", mode="r", shape=(1000, 3000))
assert (again == array).all()
private = numpy.memmap(path, dtype="f4", mode="c", shape=(1000, 3000))
private += 1
assert (again == array).all() and (private == array + 1).all()
part = numpy.memmap(path, dtype="f4", mode="r+", offset=12000 * 7, shape=(10, 3000))
part[:] = -1
part.flush()
assert (again[7:17] == -1).all() and (again[6] == array[6]).all()
del array, again, private, part

# numpy's own files, read and mapped.
numpy.save(path + ".npy", numpy.arange(100000).reshape(1000, 100))
assert (numpy.load(path + ".npy", mmap_mode="r") == numpy.load(path + ".npy")).all()

# mmap: read, write, move, resize, find.
with open(path, "r+b") as file:
    with mmap.mmap(file.fileno(), 0) as memory:
        memory[4096:4101] = b"hello"
        memory.flush(4096, 4096)
        assert memory.find(b"hello") == 4096
        memory.move(8192, 4096, 5)
        assert memory[8192:8197] == b"hello"
        if "tmpfs" in folder:
            memory.resize(16 << 20)
    file.seek(8192)
    assert file.read(5) == b"hello"

# POSIX shared memory, wherever /dev/shm is.
block = shared_memory.SharedMemory(create=True, size=8000000)
shared = numpy.ndarray((1000, 1000), dtype="f8", buffer=block.buf)
shared[:] = 21
process = multiprocessing.get_context("fork").Process(target=child, args=(block.name,))
process.start()
process.join()
assert process.exitcode == 0 and (shared == 42).all()
del shared
block.close()
block.unlink()
