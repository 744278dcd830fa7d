package ort

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dump writes the model of a session that could not be made into a folder; "" means it is not wanted. The file is for
// Netron or the onnx checker.
func dump(dir string, log *slog.Logger, spec *SessionSpec) {
	if dir == "" {
		return
	}
	name := strings.Map(plainRune, spec.Name) + "-" + time.Now().Format("20060102-150405.000") + ".onnx"
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, spec.Model, 0o644); err != nil {
		log.Warn("dumping a graph", "graph", spec.Name, "err", err)
		return
	}
	log.Info("dumped the graph that made no session", "graph", spec.Name, "path", path)
}

// plainRune keeps characters that are safe in a file name.
func plainRune(c rune) rune {
	if c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
		return c
	}
	return '_'
}
