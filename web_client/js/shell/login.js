// Asks for a key when a service does, and trades it for a cookie that no script can read. What
// waited for it goes on; nothing is loaded again.

import * as admin from "../api/admin.js";
import { onLocked, unlock } from "../api/http.js";
import { state } from "./state.js";

const dialog = document.getElementById("login");
const form = document.getElementById("login-form");
const said = document.getElementById("login-said");
const logout = document.getElementById("logout");
const tabs = new BroadcastChannel("dicebox-login"); // the cookie is all tabs'

export function login() {
  onLocked(() => {
    logout.hidden = true;
    if (!dialog.open) dialog.showModal();
  });
  // Without a key there is nothing behind the dialog.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    said.textContent = "";
    try {
      await admin.login(form.elements.key.value.trim());
    } catch (problem) {
      said.textContent = problem.message;
      return;
    }
    form.reset();
    const me = await whoami();
    tabs.postMessage(me);
    if (isOther(me)) {
      location.reload();
      return;
    }
    dialog.close();
    unlock();
    know(me);
  });
  tabs.addEventListener("message", ({ data }) => { if (isOther(data)) location.reload(); });
  logout.addEventListener("click", async () => {
    await admin.logout().catch(() => {});
    // What another person saw must not stay in the page.
    location.reload();
  });
  whoami().then(know);
}

// Who is logged in; one who is not gets the dialog by the answer. Null: nobody knows.
const whoami = () => admin.whoami().catch(() => null);

// What one person did and saw is not another's; what waits for a key would go out under their name.
function isOther(me) {
  const before = state.get().me?.name;
  return Boolean(before && me && me.name !== before);
}

function know(me) {
  logout.hidden = me === null || me.key === null;
  if (me?.name) logout.title = `Logged in with the key of ${me.name}`;
  if (me !== null) state.set({ me });
}
