// Shows the document that lies beside this page. In a file of its own: the page's policy forbids scripts inside it.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  oauth2RedirectUrl: new URL("docs/oauth2-redirect.html", window.location.href).href,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
});
