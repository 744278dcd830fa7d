package folders_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/folders"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	f := newFolders(t, "input/a.png", "output/b.png", "temp/c.png", "secret.png")
	if err := os.Symlink(f.Base(), filepath.Join(f.Input(), "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(f.Base(), "nowhere"), filepath.Join(f.Input(), "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		exists     bool
	}{
		{"a.png", "input/a.png", true},
		{"a.png [input]", "input/a.png", true},
		{"b.png [output]", "output/b.png", true},
		{"c.png [temp]", "temp/c.png", true},
		{"c.pngX[temp]", "temp/c.png", true},
		{"missing.png", "input/missing.png", false},
		{"sub/../a.png", "input/a.png", true},
		{"../secret.png", "", false},
		{"out/secret.png", "", false},
		{"dangling", "", false},
		{"/etc/passwd", "", false},
		{"a\x00.png", "", false},
	} {
		got, err := f.Resolve(c.name)
		if c.want == "" {
			if err == nil {
				t.Errorf("%q resolved to %s", c.name, got)
			}
		} else if want := filepath.Join(f.Base(), c.want); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", c.name, got, err, want)
		}
		if f.Exists(c.name) != c.exists {
			t.Errorf("%q: exists is %v", c.name, !c.exists)
		}
	}
}

func FuzzResolveStaysInside(f *testing.F) {
	for _, s := range []string{"a", "../a", "a [output]", "[temp]", "//x", "a/../../b", "\x00", "sub/./..//..", "..\\x"} {
		f.Add(s)
	}
	base := f.TempDir()
	table, err := folders.New(folders.Config{Base: base})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := table.Resolve(name)
		if err != nil {
			return
		}
		_, kind := folders.SplitAnnotated(name)
		if kind == "" {
			kind = "input"
		}
		dir, _ := table.Dir(kind)
		if p != dir && !strings.HasPrefix(p, dir+"/") {
			t.Fatalf("%q resolved to %s", name, p)
		}
	})
}

func TestSavePath(t *testing.T) {
	t.Parallel()
	f := newFolders(t, "output/pic_00007_.png", "output/pic_00003_.png", "output/other_00050_.png", "output/pic_x_00099_.png",
		"output/pic_12", "output/PIC_00100_.png", "output/sub/pic_00001_.latent", "output/neg_-5_.png",
		"output/folder_00009_/x.png", "output/twice_00005_00007_.png", "output/point_4.5_6_.png", "output/text_first_00003_.png")
	if err := os.Symlink(f.Base(), filepath.Join(f.Output(), "escape")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		prefix, sub, filename string
		counter               int
	}{
		{"pic", "", "pic", 13},
		{"sub/pic", "sub", "pic", 2},
		{"pic_x", "", "pic_x", 100},
		{"new/deep/pic", "new/deep", "pic", 1},
		{"neg", "", "neg", 1},
		{"folder", "", "folder", 10}, // a folder counts, and of several numbers the first, up to a point
		{"twice", "", "twice", 6},
		{"point", "", "point", 5},
		{"text", "", "text", 1},
		{"%width%x%height%/%year%-%month%-%day%/a%hour%%minute%%second%_%batch_num%", "640x480/2026-03-04", "a050607_%batch_num%", 1},
		{"%unknown%", "", "%unknown%", 1},
	} {
		got, err := f.SavePath(c.prefix, f.Output(), 640, 480)
		if err != nil {
			t.Errorf("%q: %v", c.prefix, err)
			continue
		}
		want := folders.SavePath{Dir: filepath.Join(f.Output(), c.sub), Filename: c.filename, Counter: c.counter, Subfolder: c.sub, Prefix: got.Prefix}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(folders.SavePath{})); diff != "" {
			t.Errorf("%q: %s", c.prefix, diff)
		}
		if info, err := os.Stat(got.Dir); err != nil || !info.IsDir() {
			t.Errorf("%q: the folder was not made: %v", c.prefix, err)
		}
	}
	for _, prefix := range []string{"../x", "../../etc/x", "/etc/x", "escape/x", "a\x00/b"} {
		if got, err := f.SavePath(prefix, f.Output(), 1, 1); err == nil {
			t.Errorf("%q: saved to %s", prefix, got.Dir)
		}
	}
}

func TestSavePathName(t *testing.T) {
	t.Parallel()
	s := folders.SavePath{Filename: "a%batch_num%", Counter: 9}
	if got := s.Name(2, ".png"); got != "a2_00011_.png" {
		t.Error(got)
	}
}

func TestInputSubfolders(t *testing.T) {
	t.Parallel()
	f := newFolders(t, "input/b/x.png", "input/a/c/x.png", "input/top.png")
	if diff := cmp.Diff([]string{"a", "a/c", "b"}, f.InputSubfolders()); diff != "" {
		t.Error(diff)
	}
}

func TestFilterContent(t *testing.T) {
	t.Parallel()
	names := []string{"a.PNG", "b.mp4", "c.webp", "d.txt", "e.glb", "png", "f.wav", "g.jpeg"}
	if diff := cmp.Diff([]string{"a.PNG", "c.webp", "g.jpeg"}, folders.FilterContent(names, "image")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b.mp4", "f.wav"}, folders.FilterContent(names, "audio", "video")); diff != "" {
		t.Error(diff)
	}
}
