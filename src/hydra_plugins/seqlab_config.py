"""Has Hydra find a user's own configuration files, as Hydra finds it: imported at every start."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class UserFolders(SearchPathPlugin):
    """Adds the user's folders behind SeqLab's own; other programs that use Hydra are left alone."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from seqlab.config_folders import CONF, user_folders

        places = {place.path.removeprefix("file://") for place in search_path.get_path()}
        if str(CONF) in places:
            for folder in user_folders():
                search_path.append("user", f"file://{folder}")
