package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// catalogue is the answer of GET /object_info: made once, packed once in each way, and made again when folders change.
type catalogue struct {
	mu     sync.Mutex
	stamp  uint64
	body   []byte
	tag    string
	packed map[string][]byte
}

// catalogues are the answers of owners, whose lists of files differ.
type catalogues struct {
	mu      sync.Mutex
	byOwner map[string]*catalogue
}

// mostCatalogues bounds how many owners' answers are kept; each has megabytes.
const mostCatalogues = 16

// of returns the answer of an owner, an empty one when it is not kept.
func (k *catalogues) of(owner string) *catalogue {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.byOwner[owner]
	if c != nil {
		return c
	}
	if k.byOwner == nil || len(k.byOwner) >= mostCatalogues {
		k.byOwner = map[string]*catalogue{}
	}
	c = &catalogue{}
	k.byOwner[owner] = c
	return c
}

// envOf is what the descriptions of nodes depend on, for a request.
func (s *Server) envOf(c echo.Context) nodes.Env {
	if !s.owned() {
		return s.cfg.Executor.Env()
	}
	return nodes.Env{Folders: s.folders(c)}
}

// catalogued returns the description of all node classes, packed as asked for ("" is not at all), and its tag. The bytes
// must not be changed.
func (s *Server) catalogued(c echo.Context, how string) (body []byte, tag string, err error) {
	env, k := s.envOf(c), &s.catalogue
	if s.owned() {
		k = s.catalogues.of(env.Folders.Owner())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// The stamp comes first: a change while the answer is made leads to another answer the next time.
	if stamp := s.cfg.Folders.Stamp(); k.body == nil || k.stamp != stamp {
		body, err := pyjson.Marshal(s.cfg.Executor.Registry().Infos(env))
		if err != nil {
			return nil, "", fmt.Errorf("describing the nodes: %w", err)
		}
		sum := sha256.Sum256(body)
		k.stamp, k.body, k.tag, k.packed = stamp, body, fmt.Sprintf(`"%x"`, sum[:12]), map[string][]byte{}
	}
	if how == "" {
		return k.body, k.tag, nil
	}
	if k.packed[how] == nil {
		small, err := packed(how, k.body)
		if err != nil {
			return nil, "", fmt.Errorf("packing the description of the nodes: %w", err)
		}
		k.packed[how] = small
	}
	return k.packed[how], strings.TrimSuffix(k.tag, `"`) + "-" + how + `"`, nil
}

// getObjectInfo describes all node classes. A client that shows the tag of the answer it has is not sent it again.
func (s *Server) getObjectInfo(c echo.Context) error {
	s.lookForFiles()
	how := s.packing(c, jsonType, 1)
	body, tag, err := s.catalogued(c, how)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Etag", tag)
	if listsTag(c.Request().Header.Get("If-None-Match"), tag) {
		c.Response().WriteHeader(http.StatusNotModified)
		return nil
	}
	if how != "" {
		h.Set(echo.HeaderContentEncoding, how)
	}
	return s.bytes(c, http.StatusOK, jsonType, body)
}

// listsTag reports whether the value of If-None-Match has a tag, be it as a weak one.
func listsTag(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

// getObjectInfoOf describes one node class; {} when it is unknown.
func (s *Server) getObjectInfoOf(c echo.Context) error {
	out := pyjson.NewObject()
	name := param(c, "node_class")
	if class, ok := s.cfg.Executor.Registry().Get(name); ok {
		out.Set(name, class.Info(s.envOf(c)))
	}
	return s.json(c, http.StatusOK, out)
}
