package server

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// appRoutes are our own pages. They are there with and without another frontend.
func (s *Server) appRoutes() []route {
	const get = http.MethodGet
	return []route{
		{get, "/app", s.pages.GetApp, true},
		{get, "/app/*", s.pages.GetAppFile, true},
		{get, "/manage", s.pages.GetManage, true},
	}
}

// convertRoutes exist beside POST /prompt, which converts by itself, for clients that want to see the prompt first.
func (s *Server) convertRoutes() []route {
	return []route{{http.MethodPost, "/api/workflow/convert", s.prompts.PostConvert, true}}
}

// assetRoutes returns the routes of the asset API. Without a library they answer that it is disabled, as upstream's do
// without --enable-assets.
func (s *Server) assetRoutes() []route {
	const get, post, put, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	list := []route{
		{http.MethodHead, "/api/assets/hash/:hash", s.assets.HeadAssetHash, true},
		{get, "/api/assets", s.assets.GetAssets, true},
		{post, "/api/assets", s.assets.PostAsset, true},
		{post, "/api/assets/from-hash", s.assets.PostAssetFromHash, true},
		{get, "/api/assets/tags/refine", s.assets.GetTagsRefine, true},
		{post, "/api/assets/seed", s.assets.PostSeed, true},
		{get, "/api/assets/seed/status", s.assets.GetSeedStatus, true},
		{post, "/api/assets/seed/cancel", s.assets.PostSeedCancel, true},
		{post, "/api/assets/prune", s.assets.PostPrune, true},
		{get, "/api/assets/:id", s.assets.GetAsset, true},
		{put, "/api/assets/:id", s.assets.PutAsset, true},
		{remove, "/api/assets/:id", s.assets.DeleteAsset, true},
		{get, "/api/assets/:id/content", s.assets.GetAssetContent, true},
		{post, "/api/assets/:id/tags", s.assets.PostAssetTags, true},
		{remove, "/api/assets/:id/tags", s.assets.DeleteAssetTags, true},
		{get, "/api/tags", s.assets.GetTags, true},
	}
	for i := range list {
		list[i].handle = s.assets.AssetHandler(list[i].handle)
	}
	return list
}

// authRoutes returns the routes of the key store and of the caller's identity. docs/auth-api.md describes them.
func (s *Server) authRoutes() []route {
	const get, post, patch, remove = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/api/auth/me", s.auth.GetMe, true},
		{post, "/api/auth/token", s.auth.PostToken, true},
		{get, "/api/auth/oidc/login", s.login.GetOIDCLogin, true},
		{get, "/api/auth/oidc/callback", s.login.GetOIDCCallback, true},
		{get, "/api/auth/keys", s.auth.GetKeys, true},
		{post, "/api/auth/keys", s.auth.PostKey, true},
		{get, "/api/auth/keys/:id", s.auth.GetKey, true},
		{remove, "/api/auth/keys/:id", s.auth.DeleteKey, true},
		{post, "/api/auth/keys/:id/rotate", s.auth.PostKeyRotate, true},
		{get, "/api/auth/users", s.auth.GetAuthUsers, true},
		{post, "/api/auth/users", s.auth.PostAuthUser, true},
		{get, "/api/auth/users/:id", s.auth.GetAuthUser, true},
		{patch, "/api/auth/users/:id", s.auth.PatchAuthUser, true},
		{remove, "/api/auth/users/:id", s.auth.DeleteAuthUser, true},
		{get, "/api/auth/roles", s.auth.GetRoles, true},
		{post, "/api/auth/roles", s.auth.PostRole, true},
		{get, "/api/auth/roles/:name", s.auth.GetRole, true},
		{patch, "/api/auth/roles/:name", s.auth.PatchRole, true},
		{remove, "/api/auth/roles/:name", s.auth.DeleteRole, true},
		{post, "/api/auth/roles/:name/permissions", s.auth.PostPermission, true},
		{remove, "/api/auth/roles/:name/permissions", s.auth.DeletePermission, true},
		{get, "/api/auth/permissions", s.auth.GetPermissions, true},
		{get, "/api/auth/audit", s.auth.GetAudit, true},
		{get, "/api/auth/sessions", s.auth.GetSessions, true},
		{remove, "/api/auth/sessions/:id", s.auth.DeleteSession, true},
		{get, "/api/workflows", s.auth.GetWorkflows, true},
		{post, "/api/workflows", s.auth.PostWorkflow, true},
		{get, "/api/workflows/:name", s.auth.GetWorkflow, true},
		{http.MethodPut, "/api/workflows/:name", s.auth.PutWorkflow, true},
		{remove, "/api/workflows/:name", s.auth.DeleteWorkflow, true},
		{post, "/api/workflows/:name/run", s.auth.PostWorkflowRun, true},
	}
}

// describeRoutes are the description of all others.
func (s *Server) describeRoutes() []route {
	return []route{
		{http.MethodGet, "/openapi.json", s.pages.GetOpenAPI, true},
		{http.MethodGet, "/docs/api", s.pages.GetAPIPage, true},
	}
}

// loginRoutes returns the routes by which a browser authenticates.
func (s *Server) loginRoutes() []route {
	return []route{
		{http.MethodGet, "/login", s.login.GetLogin, true},
		{http.MethodPost, "/login", s.login.PostLogin, true},
		{http.MethodPost, "/logout", s.login.PostLogout, true},
		{http.MethodGet, "/ready", s.health.GetReady, true},
	}
}

// packRoutes are the routes that look into the custom nodes' folders, and comfygo's own about the processes of their Python.
func (s *Server) packRoutes() []route {
	const get = http.MethodGet
	return []route{
		{get, "/workflow_templates", s.packs.GetWorkflowTemplates, false},
		{get, "/i18n", s.packs.GetI18n, false},
		{get, "/global_subgraphs", s.packs.GetSubgraphs, false},
		{get, "/global_subgraphs/:id", s.packs.GetSubgraph, false},
		{get, "/node_replacements", s.prompts.GetNodeReplacements, false},
		{get, "/api/v1/packs", s.packs.GetPacks, true},
		{http.MethodPost, "/api/v1/packs/reload", s.packs.PostReload, true},
	}
}

// queueRoutes are the routes below /api/v1, which are comfygo's own; upstream has nothing below /api/v1.
func (s *Server) queueRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/api/v1/queue", s.jobs.GetQueueState, true},
		{post, "/api/v1/queue/pause", s.jobs.PostQueuePause, true},
		{post, "/api/v1/queue/resume", s.jobs.PostQueueResume, true},
		{post, "/api/v1/queue/move", s.jobs.PostQueueMove, true},
		{post, "/api/v1/queue/priority", s.jobs.PostQueuePriority, true},
		{post, "/api/v1/queue/cancel", s.jobs.PostQueueCancel, true},
		{get, "/api/v1/queue/events", s.jobs.GetQueueEvents, true},
		{get, "/api/workers", s.jobs.GetWorkers, true},
		{post, "/api/workers/:id/drain", s.jobs.PostWorkerDrain, true},
		{post, "/api/workers/:id/resume", s.jobs.PostWorkerResume, true},
		{get, "/api/v1/models/:folder", s.models.GetModelDescriptions, true},
	}
}

// route is one resource's method. Those without the mark single are also served below /api.
type route struct {
	method, path string
	handle       echo.HandlerFunc
	single       bool
}

func (s *Server) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	all := []route{
		{get, "/health", s.health.GetHealth, true},
		{get, "/metrics", s.measure.GetMetrics, true},
		{get, "/ws", s.sockets.GetWS, false},
		{get, "/", s.pages.GetRoot, false},
		{get, "/prompt", s.prompts.GetPrompt, false},
		{post, "/prompt", s.prompts.PostPrompt, false},
		{get, "/queue", s.jobs.GetQueue, false},
		{post, "/queue", s.jobs.PostQueue, false},
		{post, "/interrupt", s.jobs.PostInterrupt, false},
		{post, "/free", s.jobs.PostFree, false},
		{get, "/history", s.jobs.GetHistory, false},
		{post, "/history", s.jobs.PostHistory, false},
		{get, "/history/:prompt_id", s.jobs.GetHistoryOf, false},
		{get, "/api/jobs", s.jobs.GetJobs, false},
		{post, "/api/jobs/cancel", s.jobs.PostJobsCancel, false},
		{get, "/api/jobs/:job_id", s.jobs.GetJob, false},
		{post, "/api/jobs/:job_id/cancel", s.jobs.PostJobCancel, false},
		{post, "/api/jobs/:job_id/share", s.jobs.PostJobShare, true},
		{get, "/object_info", s.nodes.GetObjectInfo, false},
		{get, "/object_info/:node_class", s.nodes.GetObjectInfoOf, false},
		{get, "/system_stats", s.health.GetSystemStats, false},
		{get, "/features", s.features.GetFeatures, false},
		{get, "/view", s.files.GetView, false},
		{get, "/view_metadata/:folder_name", s.models.GetViewMetadata, false},
		{post, "/upload/image", s.files.PostUploadImage, false},
		{post, "/upload/mask", s.files.PostUploadMask, false},
		{get, "/embeddings", s.models.GetEmbeddings, false},
		{get, "/models", s.models.GetModels, false},
		{get, "/models/:folder", s.models.GetModelsOf, false},
		{get, "/experiment/models", s.models.GetModelFolders, false},
		{get, "/experiment/models/:folder", s.models.GetModelFilesOf, false},
		{get, "/experiment/models/preview/:folder/:path_index/*", s.models.GetModelPreview, false},
		{get, "/extensions", s.packs.GetExtensions, false},
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
		{get, "/users", s.users.GetUsers, false},
		{post, "/users", s.users.PostUsers, false},
		{get, "/settings", s.users.GetSettings, false},
		{post, "/settings", s.users.PostSettings, false},
		{get, "/settings/:id", s.users.GetSetting, false},
		{post, "/settings/:id", s.users.PostSetting, false},
		{get, "/userdata", s.users.ListUserdata, false},
		{get, "/v2/userdata", s.users.ListUserdataV2, false},
		{get, "/userdata/:file", s.users.GetUserdata, false},
		{post, "/userdata/:file", s.users.PostUserdata, false},
		{http.MethodDelete, "/userdata/:file", s.users.DeleteUserdata, false},
		{post, "/userdata/:file/move/:dest", s.users.MoveUserdata, false},
		{get, "/internal/logs", s.logs.GetLogs, true},
		{get, "/internal/logs/raw", s.logs.GetRawLogs, true},
		{http.MethodPatch, "/internal/logs/subscribe", s.logs.PatchLogsSubscribe, true},
		{get, "/internal/folder_paths", s.models.GetFolderPaths, true},
		{get, "/internal/files/:directory_type", s.files.GetInternalFiles, true},
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

// Routes lists the server's routes, as "GET /view" and, with a parameter, "GET /userdata/:file".
func (s *Server) Routes() []string {
	var out []string
	for _, r := range s.echo.Routes() {
		out = append(out, r.Method+" "+r.Path)
	}
	slices.Sort(out)
	return out
}
