// Package web holds comfygo's own pages: HTML, CSS and JavaScript modules as they are written, without a build step.
// They are part of the program, so that a server without any frontend still has a face.
//
// The package knows files, their types and how browsers may keep them. It must not know routes, nor what the pages ask
// the server for.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
)

//go:embed *.html *.css *.svg js/*.js
var files embed.FS

// Policy is the Content-Security-Policy of the pages: everything from this server alone, no inline scripts, and no text
// that becomes markup (Trusted Types).
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; " +
	"connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// File is one file of the pages. Its bytes are shared: no one may change them.
type File struct {
	// Name is the path below the root of the pages, as js/main.js.
	Name string
	// Type is the media type for Content-Type.
	Type string
	// ETag is a strong tag made from the contents, with its quotes; that of Packed differs.
	ETag, PackedETag string
	Body             []byte
	// Packed is Body by gzip; nil where that would not be smaller.
	Packed []byte
}

var types = map[string]string{
	".html": "text/html", // as upstream has it; the pages name their charset themselves
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// table reads and packs all files once, at the first request.
var table = sync.OnceValue(func() map[string]File {
	all := map[string]File{}
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err // an embedded tree has no errors
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		f := File{Name: name, Type: types[path.Ext(name)], Body: body, ETag: fmt.Sprintf(`"%x"`, sum[:12])}
		if packed := pack(body); len(packed) < len(body) {
			f.Packed, f.PackedETag = packed, fmt.Sprintf(`"%x-gz"`, sum[:12])
		}
		all[name] = f
		return nil
	})
	return all
})

func pack(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// Open returns the file of a name; names are exact, without a leading slash.
func Open(name string) (File, bool) {
	f, ok := table()[name]
	return f, ok
}

// Names returns the names of all files, sorted.
func Names() []string {
	var names []string
	for name := range table() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
