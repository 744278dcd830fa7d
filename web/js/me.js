// Who is signed in, and what the role allows: the views show only what the server would do for this user.

let permissions = null; // everything
let role = "";

/** know takes the answer of api/auth/me. */
export function know(me) {
  permissions = Array.isArray(me.permissions) ? new Set(me.permissions) : null;
  role = me.role ?? "";
}

/** may tells whether the role allows an endpoint for any workflow, as "POST /prompt". */
export const may = (endpoint) => permissions === null || permissions.has(endpoint);

/** roleName is the name of the role, for a sentence that says why something is not offered. */
export const roleName = () => role;
