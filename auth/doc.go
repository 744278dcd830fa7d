// Package auth does authentication and authorization. It has three gates with the same methods: Open allows everything,
// Keyring requires one of a plain list of keys, and Store keeps keys, users, roles, permissions, registered workflows,
// sessions, signing keys and the audit log in one SQLite file.
//
// Secrets are stored as digests only and compared in constant time. The package must not depend on HTTP: the middleware and
// the server decide where a request carries its credential, which status a refusal becomes and how a socket is closed. It
// knows prompts only as JSON graphs, for the comparison with registered workflows.
package auth
