// Package auth does authentication and authorization. Three gates answer the same questions: Open allows everything, Keyring
// asks for one of a plain list of keys, and Store keeps keys, users, roles, permissions, registered workflows, sessions,
// signing keys and the audit log in one SQLite file.
//
// Secrets are kept as digests only and compared in constant time. The package must not know anything of HTTP: where a
// request carries its credential, which status a refusal becomes and how a socket is closed is the matter of the
// middleware and the server. It knows prompts only as JSON graphs, for the comparison with registered workflows.
package auth
