// Package frontend finds ComfyUI's front end, its workflow templates and its node documentation on this machine, and
// brings them here when asked to.
//
// All three are published as Python packages that hold nothing but files for browsers. Find looks for them where pip
// puts packages and where Install puts them: both are folders in the layout of site-packages, so that one reader
// serves both. Install fetches the versions that upstream 0.33.0 asks for, each wheel checked against a pinned SHA-256.
// Release fetches another build of the front end from its project's release page, as --front-end-version asks for.
//
// The package must not know how files are served: that is the server's business. No Python is run but pip.
package frontend
