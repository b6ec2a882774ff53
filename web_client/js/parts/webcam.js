// Single pictures of the webcam.

const IDEAL = { width: { ideal: 320 }, height: { ideal: 240 } };

// Why there is none to be had here, or null: browsers give it to pages of https and of this
// machine alone.
export const noWebcam = () =>
  navigator.mediaDevices?.getUserMedia ? null : "A browser gives the webcam to pages of https or of this machine alone.";

// Returns {start, stop, frame, problem}: `start` resolves with whether it runs (`problem()` says why
// not), `frame` gives what it sees now as a PNG.
export function webcam(video) {
  let stream = null;
  let problem = noWebcam();
  const canvas = document.createElement("canvas");
  return {
    problem: () => problem,
    async start() {
      if (noWebcam()) return false;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: IDEAL, audio: false });
      } catch (error) {
        problem = error.name === "NotAllowedError" ? "The webcam was not allowed." : `The webcam cannot be had: ${error.name}.`;
        return false;
      }
      problem = null;
      video.srcObject = stream;
      await video.play();
      return true;
    },
    stop() {
      for (const track of stream?.getTracks() ?? []) track.stop();
      stream = null;
      video.srcObject = null;
    },
    frame() {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d").drawImage(video, 0, 0);
      return new Promise((resolve, reject) => {
        canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the webcam shows nothing yet"))), "image/png");
      });
    },
  };
}
