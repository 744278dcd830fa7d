package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

// assetRoutes are the routes of the asset API. Without a library they say that it is switched off, as upstream's do
// without --enable-assets.
func (s *Server) assetRoutes() []route {
	const get, post, put, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	list := []route{
		{http.MethodHead, "/api/assets/hash/:hash", s.headAssetHash, true},
		{get, "/api/assets", s.getAssets, true},
		{post, "/api/assets", s.postAsset, true},
		{post, "/api/assets/from-hash", s.postAssetFromHash, true},
		{get, "/api/assets/tags/refine", s.getTagsRefine, true},
		{post, "/api/assets/seed", s.postSeed, true},
		{get, "/api/assets/seed/status", s.getSeedStatus, true},
		{post, "/api/assets/seed/cancel", s.postSeedCancel, true},
		{post, "/api/assets/prune", s.postPrune, true},
		{get, "/api/assets/:id", s.getAsset, true},
		{put, "/api/assets/:id", s.putAsset, true},
		{remove, "/api/assets/:id", s.deleteAsset, true},
		{get, "/api/assets/:id/content", s.getAssetContent, true},
		{post, "/api/assets/:id/tags", s.postAssetTags, true},
		{remove, "/api/assets/:id/tags", s.deleteAssetTags, true},
		{get, "/api/tags", s.getTags, true},
	}
	for i := range list {
		list[i].handle = s.assetHandler(list[i].handle)
	}
	return list
}

// assetHandler lets only UUIDs through as ids and answers 503 without a library.
func (s *Server) assetHandler(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if slices.Contains(c.ParamNames(), "id") && !isJobID(assetID(c)) {
			return s.unrouted(c, nil)
		}
		if s.cfg.Assets == nil {
			return s.assetError(c, http.StatusServiceUnavailable, "SERVICE_DISABLED",
				"Assets system is disabled. Start the server with --enable-assets to use this feature.", nil)
		}
		return s.inOwnFolders(next)(c)
	}
}

// inOwnFolders lets a handler of assets see the folders of who makes the request.
func (s *Server) inOwnFolders(next echo.HandlerFunc) echo.HandlerFunc {
	if !s.owned() {
		return next
	}
	return func(c echo.Context) error {
		r := c.Request()
		ctx := assets.In(r.Context(), s.ownFolders(c))
		if s.who(c).Admin {
			ctx = assets.Overseeing(ctx)
		}
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

func assetID(c echo.Context) string { return strings.ToLower(c.Param("id")) }

// assetOwner is whose references a request may see and change.
func (s *Server) assetOwner(c echo.Context) (string, error) {
	owner, err := s.users.of(c.Request())
	if err != nil {
		return "", trouble("looking for the user: %w", err)
	}
	return owner, nil
}

// assetError answers in the shape of the asset API's errors; details may be nil.
func (s *Server) assetError(c echo.Context, status int, code, message string, details *pyjson.Object) error {
	if details == nil {
		details = pyjson.NewObject()
	}
	return s.json(c, status, pyjson.NewObject("error", pyjson.NewObject("code", code, "message", message, "details", details)))
}

// assetProblem answers an error of the library: what is the client's doing in the API's shape.
func (s *Server) assetProblem(c echo.Context, err error, details *pyjson.Object) error {
	p, ok := assets.IsProblem(err)
	if !ok {
		return err
	}
	answer := func(status int, code string) error { return s.assetError(c, status, code, p.Message, details) }
	switch p.Kind {
	case assets.NotFound:
		return answer(http.StatusNotFound, "ASSET_NOT_FOUND")
	case assets.Forbidden:
		return answer(http.StatusForbidden, "FORBIDDEN")
	case assets.HashMismatch:
		return answer(http.StatusBadRequest, "HASH_MISMATCH")
	case assets.InvalidCursor:
		return answer(http.StatusBadRequest, "INVALID_CURSOR")
	case assets.NoFile:
		return answer(http.StatusNotFound, "FILE_NOT_FOUND")
	}
	return answer(http.StatusBadRequest, "INVALID_BODY")
}

func idDetails(c echo.Context) *pyjson.Object { return pyjson.NewObject("id", assetID(c)) }

// watchAssets passes the scanner's events on to all clients; where owners are told apart to administrators, as what the
// scanner finds is what others have made.
func (s *Server) watchAssets() {
	if s.cfg.Assets == nil {
		return
	}
	s.cfg.Assets.Notify(func(event string, data *pyjson.Object) {
		if s.owned() {
			s.hub.Oversee(event, data)
			return
		}
		s.hub.Send(event, data, hub.Everybody)
	})
}

// pauseAssets keeps the scanner from work while a prompt runs. The function that it returns enters the run's outputs and
// lets the scanner go on.
func (s *Server) pauseAssets() (after func(ctx context.Context, job string, outputs *pyjson.Object)) {
	lib := s.cfg.Assets
	if lib == nil {
		return func(context.Context, string, *pyjson.Object) {}
	}
	lib.Pause()
	return func(ctx context.Context, job string, outputs *pyjson.Object) {
		lib.Finished(context.WithoutCancel(ctx), job, outputs) // an interrupted run has outputs, too
		lib.LookInto(assets.Output)
		lib.Resume()
	}
}

// postSeed starts a scan; with ?wait=true the answer comes when it has ended.
func (s *Server) postSeed(c echo.Context) error {
	roots, err := s.seedRoots(c)
	if err != nil {
		return err
	}
	if len(roots) == 0 {
		return s.assetError(c, http.StatusBadRequest, "INVALID_BODY", "No valid roots specified", nil)
	}
	lib := s.cfg.Assets
	if !lib.Scan(roots) {
		return s.json(c, http.StatusConflict, pyjson.NewObject("status", "already_running"))
	}
	wait, _ := query(c, "wait")
	if !slices.Contains([]string{"true", "1", "yes"}, strings.ToLower(wait)) {
		return s.json(c, http.StatusAccepted, pyjson.NewObject("status", "started"))
	}
	if err := lib.Wait(c.Request().Context()); err != nil {
		return trouble("waiting for the scan: %w", err)
	}
	st := lib.Status()
	return s.json(c, http.StatusOK, pyjson.NewObject("status", "completed", "progress", progressOf(st), "errors", st.Errors))
}

// seedRoots reads which folders to scan: those of the body that exist, all when it does not say.
func (s *Server) seedRoots(c echo.Context) ([]assets.Root, error) {
	data, err := s.readBody(c)
	if err != nil {
		return nil, err
	}
	body, err := pyjson.UnmarshalObject(data)
	if err != nil || !body.Has("roots") {
		return assets.Everything(), nil
	}
	given, _ := body.Get("roots")
	names, _ := given.([]any)
	var roots []assets.Root
	for _, n := range names {
		name, _ := n.(string)
		if r := assets.Root(name); slices.Contains(assets.Everything(), r) && !slices.Contains(roots, r) {
			roots = append(roots, r)
		}
	}
	return roots, nil
}

func progressOf(st assets.Status) any {
	if st.Progress == nil {
		return nil
	}
	p := st.Progress
	return pyjson.NewObject("scanned", p.Scanned, "total", p.Total, "created", p.Created, "skipped", p.Skipped)
}

func (s *Server) getSeedStatus(c echo.Context) error {
	st := s.cfg.Assets.Status()
	return s.json(c, http.StatusOK, pyjson.NewObject("state", string(st.State), "progress", progressOf(st), "errors", st.Errors))
}

func (s *Server) postSeedCancel(c echo.Context) error {
	status := "idle"
	if s.cfg.Assets.Cancel() {
		status = "cancelling"
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("status", status))
}

// postPrune marks references whose files are in none of the folders.
func (s *Server) postPrune(c echo.Context) error {
	n, err := s.cfg.Assets.Prune(c.Request().Context())
	if errors.Is(err, assets.ErrScanning) {
		return s.json(c, http.StatusConflict, pyjson.NewObject("status", "scan_running", "marked", 0))
	}
	if err != nil {
		return err
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("status", "completed", "marked", n))
}
