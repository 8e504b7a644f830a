"""Alembic's migrations, shipped with the package so that `easel db upgrade` finds them anywhere."""
