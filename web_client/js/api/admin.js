// Keys, logins, the health of the services, figures of the storage.

import { ADMIN, call, part } from "./http.js";

export const whoami = () => call("GET", `${ADMIN}/whoami`);
export const login = (key) => call("POST", `${ADMIN}/login`, { json: { key } });
export const logout = () => call("POST", `${ADMIN}/logout`);
export const keys = async () => (await call("GET", `${ADMIN}/keys`)).keys;
export const createKey = (request) => call("POST", `${ADMIN}/keys`, { json: request });
export const revokeKey = (key) => call("DELETE", `${ADMIN}/keys/${part(key)}`);
export const health = async () => (await call("GET", `${ADMIN}/health`)).services;
export const storage = () => call("GET", `${ADMIN}/storage`);
