package models

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/server/reply"
)

// catalogue is the answer of GET /object_info: made once, packed once in each way, and made again when folders change.
type catalogue struct {
	mu     sync.Mutex
	stamp  [2]uint64 // of the folders and of the classes of other processes
	body   []byte
	tag    string
	packed map[string][]byte
}

// catalogues are the answers for owners, whose lists of files differ.
type catalogues struct {
	mu      sync.Mutex
	byOwner map[string]*catalogue
}

// mostCatalogues bounds how many owners' answers are kept; each has megabytes.
const mostCatalogues = 16

// of returns the answer of an owner, an empty one if it is not stored.
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

// envOf returns the environment of the nodes' descriptions for a request.
func (s *ObjectInfo) envOf(c echo.Context) nodes.Env {
	env := s.Env()
	if s.Access.Owned() {
		env.Folders = s.Access.Folders(c)
	}
	return env
}

// catalogued returns the description of all node classes, in the requested encoding ("" means none), and its tag. The
// bytes must not be changed.
func (s *ObjectInfo) catalogued(c echo.Context, how string) (body []byte, tag string, err error) {
	env, k := s.envOf(c), &s.catalogue
	if s.Access.Owned() {
		k = s.catalogues.of(env.Folders.Owner())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// The stamp comes first: a change while the answer is made leads to another answer the next time.
	if stamp := [2]uint64{s.Folders.Stamp(), s.Registry.Stamp(c.Request().Context())}; k.body == nil || k.stamp != stamp {
		body, err := pyjson.Marshal(s.Registry.Infos(env))
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
		small, err := reply.Packed(how, k.body)
		if err != nil {
			return nil, "", fmt.Errorf("packing the description of the nodes: %w", err)
		}
		k.packed[how] = small
	}
	return k.packed[how], strings.TrimSuffix(k.tag, `"`) + "-" + how + `"`, nil
}

// GetObjectInfo describes all node classes. A client that shows the tag of the answer it has is not sent it again.
func (s *ObjectInfo) GetObjectInfo(c echo.Context) error {
	s.Assets.Look()
	how := s.Reply.Packing(c, reply.JSONType, 1)
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
	return s.Reply.Bytes(c, http.StatusOK, reply.JSONType, body)
}

// listsTag reports whether the value of If-None-Match has a tag, including a weak one.
func listsTag(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

// GetObjectInfoOf describes one node class, or returns {} if it is unknown.
func (s *ObjectInfo) GetObjectInfoOf(c echo.Context) error {
	out := pyjson.NewObject()
	name := reply.Param(c, "node_class")
	if _, ok := s.Registry.Get(name); !ok {
		s.Registry.Wait(c.Request().Context())
	}
	if class, ok := s.Registry.Get(name); ok {
		out.Set(name, class.Info(s.envOf(c)))
	}
	return s.Reply.JSON(c, http.StatusOK, out)
}
