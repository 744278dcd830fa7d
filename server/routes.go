package server

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// route is one resource's method. Those without the mark single are also served below /api.
type route struct {
	method, path string
	handle       echo.HandlerFunc
	single       bool
}

func (s *Server) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	all := []route{
		{get, "/health", s.getHealth, true},
		{get, "/metrics", s.getMetrics, true},
		{get, "/ws", s.getWS, false},
		{get, "/", s.getRoot, false},
		{get, "/prompt", s.getPrompt, false},
		{post, "/prompt", s.postPrompt, false},
		{get, "/queue", s.getQueue, false},
		{post, "/queue", s.postQueue, false},
		{post, "/interrupt", s.postInterrupt, false},
		{post, "/free", s.postFree, false},
		{get, "/history", s.getHistory, false},
		{post, "/history", s.postHistory, false},
		{get, "/history/:prompt_id", s.getHistoryOf, false},
		{get, "/api/jobs", s.getJobs, false},
		{post, "/api/jobs/cancel", s.postJobsCancel, false},
		{get, "/api/jobs/:job_id", s.getJob, false},
		{post, "/api/jobs/:job_id/cancel", s.postJobCancel, false},
		{post, "/api/jobs/:job_id/share", s.postJobShare, true},
		{get, "/object_info", s.getObjectInfo, false},
		{get, "/object_info/:node_class", s.getObjectInfoOf, false},
		{get, "/system_stats", s.getSystemStats, false},
		{get, "/features", s.getFeatures, false},
		{get, "/view", s.getView, false},
		{get, "/view_metadata/:folder_name", s.getViewMetadata, false},
		{post, "/upload/image", s.postUploadImage, false},
		{post, "/upload/mask", s.postUploadMask, false},
		{get, "/embeddings", s.getEmbeddings, false},
		{get, "/models", s.getModels, false},
		{get, "/models/:folder", s.getModelsOf, false},
		{get, "/experiment/models", s.getModelFolders, false},
		{get, "/experiment/models/:folder", s.getModelFilesOf, false},
		{get, "/experiment/models/preview/:folder/:path_index/*", s.getModelPreview, false},
		{get, "/extensions", s.getExtensions, false},
	}
	all = append(all, s.userRoutes()...)
	all = append(all, s.packRoutes()...)
	all = append(all, s.queueRoutes()...)
	all = append(all, s.v2Routes()...)
	all = append(all, s.appRoutes()...)
	all = append(all, s.convertRoutes()...)
	all = append(all, s.describeRoutes()...)
	all = append(all, s.loginRoutes()...)
	all = append(all, s.authRoutes()...)
	return append(all, s.assetRoutes()...)
}

func (s *Server) userRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/users", s.getUsers, false},
		{post, "/users", s.postUsers, false},
		{get, "/settings", s.getSettings, false},
		{post, "/settings", s.postSettings, false},
		{get, "/settings/:id", s.getSetting, false},
		{post, "/settings/:id", s.postSetting, false},
		{get, "/userdata", s.listUserdata, false},
		{get, "/v2/userdata", s.listUserdataV2, false},
		{get, "/userdata/:file", s.getUserdata, false},
		{post, "/userdata/:file", s.postUserdata, false},
		{http.MethodDelete, "/userdata/:file", s.deleteUserdata, false},
		{post, "/userdata/:file/move/:dest", s.moveUserdata, false},
		{get, "/internal/logs", s.getLogs, true},
		{get, "/internal/logs/raw", s.getRawLogs, true},
		{http.MethodPatch, "/internal/logs/subscribe", s.patchLogsSubscribe, true},
		{get, "/internal/folder_paths", s.getFolderPaths, true},
		{get, "/internal/files/:directory_type", s.getInternalFiles, true},
	}
}

func (s *Server) addRoutes() {
	for _, r := range s.routes() {
		paths := []string{r.path}
		if !r.single {
			paths = append(paths, "/api"+r.path)
		}
		for _, path := range paths {
			s.echo.Add(r.method, path, r.handle)
			if r.method == http.MethodGet {
				s.echo.Add(http.MethodHead, path, r.handle)
			}
		}
	}
}

// Routes lists what the server answers, as "GET /view" and, with a parameter, "GET /userdata/:file".
func (s *Server) Routes() []string {
	var out []string
	for _, r := range s.echo.Routes() {
		out = append(out, r.Method+" "+r.Path)
	}
	slices.Sort(out)
	return out
}
