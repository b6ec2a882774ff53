// Files as one body of a request. FormData wants a Blob for each of them, and the browser keeps what
// it costs, several kilobytes each, for as long as nothing makes it look for garbage.
//
// Source: RFC 7578.

const quoted = (name) => name.replace(/["\r\n]/g, encodeURIComponent);

// `files`: [{name, data}], `data` a Blob or its bytes, as parts called `field`. Returns a Blob whose
// type says how to take it apart.
export function multipart(field, files) {
  // A Blob has its type in small letters.
  const boundary = `dicebox-${Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-")}`;
  const parts = files.flatMap(({ name, data }, index) => [
    `${index === 0 ? "" : "\r\n"}--${boundary}\r\nContent-Disposition: form-data; name="${quoted(field)}"; filename="${quoted(name)}"\r\n`
      + "Content-Type: application/octet-stream\r\n\r\n",
    data,
  ]);
  return new Blob([...parts, `\r\n--${boundary}--\r\n`], { type: `multipart/form-data; boundary=${boundary}` });
}
