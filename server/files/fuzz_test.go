package files

import (
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/folders"
)

// FuzzDestination checks that no untrusted name leads out of the folder.
func FuzzDestination(f *testing.F) {
	for _, s := range [][2]string{{"", "a.png"}, {"..", "a"}, {"a/../..", "x"}, {"/etc", "passwd"}, {"sub", "../../x"}, {"link", "x"}, {"a\x00b", "c"}, {`..\..`, "x"}, {"%2e%2e", "x"}} {
		f.Add(s[0], s[1])
	}
	base := f.TempDir()
	root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
	for _, d := range []string{root, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, subfolder, name string) {
		dir, path, ok := destination(root, subfolder, name)
		if !ok {
			return
		}
		for _, p := range []string{dir, path} {
			if p != root && !strings.HasPrefix(p, root+"/") || strings.Contains(p, "/../") || strings.HasPrefix(p, filepath.Join(root, "link")+"/") {
				t.Errorf("%q and %q lead to %q", subfolder, name, p)
			}
		}
	})
}

// FuzzUploadForm reads forms of untrusted clients: nothing is left in the temp folder once the form is discarded, and fields stay within their limit.
func FuzzUploadForm(f *testing.F) {
	const head, end = "--b\r\nContent-Disposition: form-data; name=", "\r\n--b--\r\n"
	for _, body := range []string{
		head + `"image"; filename="a.png"` + "\r\n\r\ndata" + end,
		head + `"image"; filename="../a.png"` + "\r\nContent-Transfer-Encoding: base64\r\n\r\nZGF0YQ==" + end,
		head + `"image"; filename="a"` + "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3d=0" + end,
		head + `"subfolder"` + "\r\nContent-Type: text/plain; charset=latin1\r\n\r\n\xe4" + end,
		head + `image; filename*=utf-8''%00x` + "\r\n\r\n" + end, "--b--", "",
	} {
		f.Add(body)
	}
	dirs, err := folders.New(folders.Config{Base: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{Folders: dirs}
	f.Fuzz(func(t *testing.T, body string) {
		u := &upload{fields: map[string]string{}, isFile: map[string]bool{}}
		_ = s.readParts(u, multipart.NewReader(strings.NewReader(body), "b")) // most are not valid forms
		for name, text := range u.fields {
			if len(text) > 4*len(body) {
				t.Errorf("the field %q has %d bytes of a body of %d", name, len(text), len(body))
			}
		}
		u.discard()
		if left, err := os.ReadDir(dirs.Temp()); err == nil && len(left) > 0 {
			t.Errorf("%d files are left", len(left))
		}
	})
}
