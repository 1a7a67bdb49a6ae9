"""The addresses of the site."""

from django.urls import path

from . import views

urlpatterns = [path("runs/<path:ref>/<str:action>", views.act)]
