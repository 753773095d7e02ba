from django.urls import path

from accounts import api, keys_api

urlpatterns = [
    path("keys/rotate", keys_api.RotateView.as_view(), name="keys-rotate"),
    path("suppressions", api.SuppressionsView.as_view(), name="suppressions"),
    path("suppressions/import", api.SuppressionsImportView.as_view(), name="suppressions-import"),
    path("suppressions/export", api.SuppressionsExportView.as_view(), name="suppressions-export"),
    path("suppressions/<str:number>", api.SuppressionView.as_view(), name="suppression"),
]
