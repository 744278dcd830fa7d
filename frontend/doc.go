// Package frontend finds ComfyUI's front end, its workflow templates and its node documentation on this machine, and
// downloads them on request.
//
// All three are published as Python packages that hold nothing but files for browsers. Find searches the folders in
// which pip and Install put packages: both have the layout of site-packages, so that one reader serves both. Install
// fetches the versions that upstream 0.33.0 requires, and checks each wheel against a pinned SHA-256. Release fetches
// another build of the front end from its project's release page, for --front-end-version.
//
// The package must not know how files are served: that is the server's business. The only Python that runs is pip.
package frontend
