#!/bin/sh
# Takes out of a virtual environment what no process of Dicebox reads: tests, headers, stubs, a
# compiler that TensorFlow names and does not load, and the descriptions of all services of AWS but
# those that a bucket needs.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)

for package in numpy onnx onnxruntime scipy; do
  [ ! -d "$packages/$package" ] || find "$packages/$package" -type d -name tests -prune -exec rm -rf {} +
done
find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.c' \) -delete
rm -rf "$packages/tensorflow/include" "$packages/clang"

data=$packages/botocore/data
if [ -d "$data" ]; then
  find "$data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts -exec rm -rf {} +
fi
