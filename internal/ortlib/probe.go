package ortlib

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"fmt"
	"slices"
	"strings"
)

// entry is the one symbol that every ONNX Runtime library exports.
const entry = "OrtGetApiBase"

// Probe reports why the library at path cannot be loaded by this program, as far as its headers tell: another format,
// another CPU architecture, or no ONNX Runtime entry point. It reads some KiB and does not load the library.
func Probe(path string) error {
	platform, err := Options{}.complete()
	if err != nil {
		return err
	}
	return probe(path, platform.Platform)
}

// probe is Probe for the platform GOOS/GOARCH.
func probe(path, platform string) error {
	var err error
	switch system, arch, _ := strings.Cut(platform, "/"); system {
	case "linux":
		err = probeELF(path, arch)
	case "darwin":
		err = probeMachO(path, arch)
	case "windows":
		err = probePE(path, arch)
	}
	if err != nil {
		return fmt.Errorf("the ONNX Runtime library %s cannot be loaded: %w", path, err)
	}
	return nil
}

func probeELF(path, arch string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("reading its ELF header: %w", err)
	}
	defer func() { _ = f.Close() }()
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
	switch {
	case f.Type != elf.ET_DYN:
		return fmt.Errorf("it is not a shared library (%s)", f.Type)
	case want != 0 && f.Machine != want:
		return fmt.Errorf("it is built for %s, this program for %s", f.Machine, arch)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("reading its symbols: %w", err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == entry && s.Section != elf.SHN_UNDEF }) {
		return fmt.Errorf("it does not export %s", entry)
	}
	return nil
}

func probeMachO(path, arch string) error {
	f, err := macho.Open(path)
	if err != nil {
		return fmt.Errorf("reading its Mach-O header: %w", err)
	}
	defer func() { _ = f.Close() }()
	want := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[arch]
	switch {
	case f.Type != macho.TypeDylib:
		return fmt.Errorf("it is not a dynamic library (%s)", f.Type)
	case want != 0 && f.Cpu != want:
		return fmt.Errorf("it is built for %s, this program for %s", f.Cpu, arch)
	}
	return nil
}

func probePE(path, arch string) error {
	f, err := pe.Open(path)
	if err != nil {
		return fmt.Errorf("reading its PE header: %w", err)
	}
	defer func() { _ = f.Close() }()
	want := map[string]uint16{"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64}[arch]
	if want != 0 && f.Machine != want {
		return fmt.Errorf("it is built for machine type %#x, this program for %s", f.Machine, arch)
	}
	return nil
}
