package server_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comfygo/assets"
	"comfygo/server"
	"comfygo/server/reply"
)

const onSmallDisk = "COMFYGO_TEST_SMALL_DISK"

// TestFullDisk runs every way to upload on a file system without room: each answers 507, leaves no file behind, and works again once there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getenv(onSmallDisk) != "" {
		uploadToFullDisk(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), onSmallDisk+"=1", "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skip("no file system of its own for the test: ", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("no file system of its own for the test:\n%s", out)
	}
}

func uploadToFullDisk(t *testing.T) {
	if err := unix.Mount("none", os.Getenv("TMPDIR"), "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("mounting a small file system: ", err)
	}
	var lib *assets.Library
	r := start(t, func(c *server.Config) {
		var err error
		if lib, err = assets.Open(assets.Config{Folders: c.Folders, ContentType: reply.GuessType}); err != nil {
			t.Fatal(err)
		}
		c.Assets = lib
	})
	image, data := string(testPNG(t, 8, 6)), strings.Repeat("x", 64<<10)
	form := func(path, field, name, text string, fields ...string) func() httpReply {
		return func() httpReply {
			body, kind := fileForm(t, field, name, text, fields...)
			return r.do("POST", path, body, "Content-Type", kind)
		}
	}
	ways := map[string]func() httpReply{
		"image":     form("/upload/image", "image", "full.png", data),
		"mask":      form("/upload/mask", "image", "mask.png", image, "original_ref", `{"filename": "pic.png", "type": "input"}`),
		"asset":     form("/api/assets", "file", "a.bin", data, "tags", `["input"]`),
		"asset v2":  form("/api/v2/assets", "file", "b.bin", data+"b", "content_type", "image/png", "file_path", "b.png"),
		"user data": func() httpReply { return r.do("POST", "/userdata/full.json", data) },
		"settings":  func() httpReply { return r.do("POST", "/settings/full", `"`+data+`"`) },
	}
	before := filesBelow(t, r.base)
	filler := fillDisk(t)
	for name, put := range ways {
		if got := put(); got.status != 507 || !strings.Contains(got.body, "disk_full") {
			t.Errorf("%s on a full disk: %d %s", name, got.status, got.body)
		}
	}
	if after := filesBelow(t, r.base); after != before {
		t.Errorf("a full disk leaves\n%s\nof\n%s", after, before)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for name, put := range ways {
		if got := put(); got.status != 200 && got.status != 201 {
			t.Errorf("%s once there is room: %d %s", name, got.status, got.body)
		}
	}
	if err := lib.Close(); err != nil {
		t.Error(err)
	}
}

// fillDisk writes a file until the file system has no room.
func fillDisk(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(os.Getenv("TMPDIR"), "filler")
	f, err := os.Create(path)
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// filesBelow lists the files in the folders that clients write to.
func filesBelow(t *testing.T, base string) string {
	t.Helper()
	var names []string
	for _, dir := range []string{"input", "output", "temp", "user/default"} {
		err := filepath.WalkDir(filepath.Join(base, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(names, "\n")
}
