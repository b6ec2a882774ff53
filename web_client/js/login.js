// Asks for a key when a service does, and trades it for a cookie that no script can read.

import { admin, onUnauthorized } from "./api.js";

const dialog = document.getElementById("login");
const form = document.getElementById("login-form");
const said = document.getElementById("login-said");
const logout = document.getElementById("logout");

export function login() {
  onUnauthorized(() => {
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
    // Everything is asked again, with the cookie.
    location.reload();
  });
  logout.addEventListener("click", async () => {
    await admin.logout().catch(() => {});
    location.reload();
  });
  look();
}

// Says who is logged in; one who is not gets the dialog by the answer.
async function look() {
  const me = await admin.whoami().catch(() => null);
  logout.hidden = me === null || me.key === null;
  if (me !== null) logout.title = `Logged in with the key of ${me.name}`;
}
