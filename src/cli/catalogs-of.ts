import type { Config } from '../policy/config.ts';
import type { Policy } from '../policy/types.ts';
import { Catalogs, type CatalogsOptions } from '../session/catalogs.ts';
import type { Routes } from '../session/routes.ts';

export interface CatalogSettings extends Pick<CatalogsOptions, 'analyse' | 'readRoutine' | 'copies' | 'onRefreshed' | 'onError'> {
  readonly routes: Routes;
}

/** The catalogs of the databases that a configuration names, with its classes worked out over them. */
export function openCatalogs(config: Config, policy: Policy, settings: CatalogSettings): Catalogs {
  return new Catalogs(
    {
      ...settings,
      login: { user: config.catalog.user, password: config.catalog.password?.reveal() },
      refreshMs: config.catalog.refreshMs,
    },
    { classes: [...policy.classes.values()], trustedFunctions: policy.trustedFunctions },
  );
}
