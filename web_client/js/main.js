// Starts the page: the frame, what all views need, who is there.

import * as images from "./api/images.js";
import { el, show } from "./lib/dom.js";
import { listen } from "./lib/keys.js";
import { say } from "./lib/toast.js";
import { frame } from "./shell/frame.js";
import { help } from "./shell/help.js";
import { login } from "./shell/login.js";
import { poll } from "./shell/outages.js";
import { go, parse } from "./shell/router.js";
import { choose, learn, state } from "./shell/state.js";
import { strip } from "./shell/strip.js";
import { theme } from "./shell/theme.js";

const EVERY = 4000;
const place = (id) => document.getElementById(id);

// Every view needs the datasets, so they are asked for whichever is shown.
const refresh = poll("Images", EVERY, async () => learn(await images.datasets()));

const select = place("dataset");
select.addEventListener("change", () => choose(select.value));
function offerDatasets() {
  const { datasets, dataset } = state.get();
  const names = datasets.map((one) => one.name);
  select.closest("label").hidden = names.length === 0;
  show(select, names.join("/"), () => names.map((name) => el("option", { value: name }, name)));
  select.value = dataset;
}
state.subscribe(offerDatasets);

theme(place("theme"));
help(place("help"));
listen(document);
strip(place("strip"));
login();
refresh.now();
frame(place("views"), place("main"), { state, go, parse, say, refresh: refresh.now });
