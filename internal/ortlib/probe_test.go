package ortlib

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"comfygo/internal/download"
)

// sharedObject writes an ELF shared library that exports one symbol, and returns its path.
func sharedObject(t *testing.T, machine elf.Machine, kind elf.Type, symbol string) string {
	t.Helper()
	const header, section = 64, 64
	strtab := "\x00" + symbol + "\x00"
	names := "\x00.dynsym\x00.dynstr\x00.shstrtab\x00"
	var body bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&body, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	symbols := []elf.Sym64{{}, {Name: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1, Value: 1}}
	put(symbols)
	dynstr := header + body.Len()
	body.WriteString(strtab)
	shstr := header + body.Len()
	body.WriteString(names)
	table := header + body.Len()
	symbolSize := uint64(len(symbols) * elf.Sym64Size)
	put([]elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_DYNSYM), Off: header, Size: symbolSize, Link: 2, Info: 1, Entsize: elf.Sym64Size},
		{Name: 9, Type: uint32(elf.SHT_STRTAB), Off: uint64(dynstr), Size: uint64(len(strtab))},
		{Name: 17, Type: uint32(elf.SHT_STRTAB), Off: uint64(shstr), Size: uint64(len(names))},
	})
	var file bytes.Buffer
	head := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(kind), Machine: uint16(machine), Version: 1, Shoff: uint64(table), Ehsize: header,
		Shentsize: section, Shnum: 4, Shstrndx: 3,
	}
	if err := binary.Write(&file, binary.LittleEndian, head); err != nil {
		t.Fatal(err)
	}
	file.Write(body.Bytes())
	path := filepath.Join(t.TempDir(), "libonnxruntime.so.1.31.1")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProbe(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, platform, want string }{
		{"good", sharedObject(t, elf.EM_X86_64, elf.ET_DYN, "OrtGetApiBase"), "linux/amd64", ""},
		{"arm", sharedObject(t, elf.EM_AARCH64, elf.ET_DYN, "OrtGetApiBase"), "linux/arm64", ""},
		{"another CPU", sharedObject(t, elf.EM_AARCH64, elf.ET_DYN, "OrtGetApiBase"), "linux/amd64", "built for EM_AARCH64, this program for amd64"},
		{"program", sharedObject(t, elf.EM_X86_64, elf.ET_EXEC, "OrtGetApiBase"), "linux/amd64", "not a shared library"},
		{"other library", sharedObject(t, elf.EM_X86_64, elf.ET_DYN, "zlibVersion"), "linux/amd64", "does not export OrtGetApiBase"},
		{"text", text, "linux/amd64", "ELF"},
		{"text on macOS", text, "darwin/arm64", "Mach-O"},
		{"text on Windows", text, "windows/amd64", "PE"},
		{"missing", text + ".1", "linux/amd64", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := probe(tt.path, tt.platform)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path)):
				t.Errorf("got %v, want the path and %q", err, tt.want)
			}
		})
	}
}

// TestInstall fetches into a named folder, below which Find looks when it is given that folder, with no home folder set.
func TestInstall(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "lib")
	o := testOptions(t)
	o.Cache = "" // as without HOME
	o.Env = func(string) string { return "/elsewhere/libonnxruntime.so" }
	var runs atomic.Int32
	o.Clients = []download.Client{copier(Wheel, "/nowhere", &runs)}
	if _, err := Install(context.Background(), dir, o); !errors.Is(err, ErrNotFound) || runs.Load() != 1 {
		t.Fatalf("an archive that cannot be fetched: %v after %d runs", err, runs.Load())
	}
	member := "pkg/lib/libonnxruntime.so.1.31.1"
	src, sha := archive(t, "a.whl", member)
	o.Cache = dir
	a := Asset{Kind: Wheel, Project: "p", Version: "1", SHA256: sha, Files: []File{{member, int64(len(content)), sum([]byte(content))}}}
	want, err := fetchWith(context.Background(), copier(Wheel, src, &runs), o, a)
	if err != nil {
		t.Fatal(err)
	}
	o.Cache, o.Path = "", dir
	for _, cuda := range []bool{false, true} { // the CPU build serves platforms without a GPU build
		o.CUDA = cuda
		if got, err := Find(o); err != nil || got != want {
			t.Errorf("CUDA %v: found %q, %v, want %q", cuda, got, err, want)
		}
	}
	again, err := Install(context.Background(), dir, o)
	if o.CUDA = false; err == nil {
		t.Errorf("installing the CUDA build was skipped: %s", again)
	}
	if again, err = Install(context.Background(), dir, o); err != nil || again != want {
		t.Errorf("a second install: %q, %v", again, err)
	}
}

func TestEnsureWithoutHomeAsksForAFolder(t *testing.T) {
	home := []string{"HOME", "XDG_CACHE_HOME"}
	for _, name := range home {
		t.Setenv(name, "")
	}
	o := testOptions(t)
	o.Cache = ""
	if _, err := Ensure(context.Background(), o); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got %v, want a hint at --dir", err)
	}
	if _, err := Find(o); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "comfygo setup --dir") {
		t.Errorf("got %v, want the command to run", err)
	}
}
